"""Nearest-neighbour search over vectors, and the vector file; no SQL."""
