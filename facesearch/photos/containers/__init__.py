"""Container readers, one per format: they locate the metadata and the image data in a file."""
