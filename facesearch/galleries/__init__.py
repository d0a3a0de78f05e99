"""Galleries: where faces are searched."""
