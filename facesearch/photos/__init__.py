"""Files to pixels: which files are photos, and what they show."""
