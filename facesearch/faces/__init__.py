"""Pixels to faces: detection, alignment, embedding, whatever the model."""
