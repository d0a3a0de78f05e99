"""From files to pixels: find photo files, read their metadata and decode them."""
