"""The public interface, for the command line and for other programs.

`index` has `Index`, which builds, updates, queries and maintains an index of photos. `scan` searches folders without an
index, `detect` and `compare` process single photos. `models` manages the face models of this machine, `measure`
calibrates and compares them on labelled photos. `results` exports every record that is returned.

Everything here takes plain values, returns records and raises the errors of `facesearch.errors`. Text for the user is
made in `facesearch.render` and by the front ends. Importing a module of this package loads no heavy library.
"""
