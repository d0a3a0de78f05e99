"""Open, lock, search and maintain an index on disk."""
