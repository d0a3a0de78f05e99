"""Model packs: published packs, packs that the user has registered, and how packs are downloaded and installed."""
