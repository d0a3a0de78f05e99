"""Where faces are searched."""
