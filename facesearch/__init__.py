"""Find a person in a folder of photos, on your own machine.

The parts, each a module: `photos` (files to pixels), `faces` (pixels to faces), `store` (faces, kept), `finding`,
`planning`, `indexing`, `searching`, `upkeep`, `render`, `cli`. Importing this package loads none of them.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
