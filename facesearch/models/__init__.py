"""Face models: networks, what runs them, and where they come from."""
