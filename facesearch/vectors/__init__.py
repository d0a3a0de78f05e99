"""Vectors to nearest neighbours, and the file that they are kept in; no SQL."""
