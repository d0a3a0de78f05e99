"""The one door: what the command line, the page and other people's programs call.

`index` has `Index`, an index of photos that is opened, kept up to date, questioned and cared for. `models` has the face
models of this machine, `measure` what can be measured of them on labelled photos. `detect` and `compare` answer about
single photos, without an index. `results` names every record that is given back.

Everything here takes plain values, gives back frozen records and raises the errors of `facesearch.errors`. Words for
people are made in `facesearch.render` and by the front ends. Importing a module of this room loads nothing heavy.
"""
