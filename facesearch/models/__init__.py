"""Face models: the networks, the runtimes that run them, and the packs that contain them."""
