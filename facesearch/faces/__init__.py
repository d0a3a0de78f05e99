"""A picture to its faces."""
