"""The page and the REST API: a server for one index or one shared gallery."""
