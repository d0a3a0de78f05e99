"""From query photos to answers."""
