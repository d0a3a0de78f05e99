"""What a similarity means."""
