"""How each format lays out its file: where its metadata is, and which bytes make the picture."""
