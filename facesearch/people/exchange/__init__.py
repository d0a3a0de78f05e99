"""What is known about people, as files: for another index, for other programs, and beside the catalog.

`document` is the format of statements as JSON lines; `statement_file` keeps such a file beside the catalog, `exporting`
writes one for another machine, and `importing` says there what it holds. `labels` finds out which faces are meant by
photos of named people; `folders` and `csv_file` read them. Face regions in XMP sidecars belong here, too.
"""
