"""An index on the disk: opened, checked, kept in step."""
