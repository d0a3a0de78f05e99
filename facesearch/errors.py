"""Everything that can go wrong, as one tree; each leaf knows the exit code that a shell sees.

FacesearchError                 exit
├── UsageError                   2    the question itself makes no sense
├── InputError                   3    something that was given cannot be used
│   ├── PhotoError                    a photo cannot be read or decoded
│   │   └── PhotoTooLargeError        it is over a limit that can be raised
│   ├── NoFaceError                   a query photo shows no face
│   ├── ModelError                    a model is missing, broken or not known
│   └── DeviceError                   a device or runtime was asked for that is not there
├── StoreError                   3    the index cannot be used
│   ├── IndexNotFoundError            there is none
│   ├── IndexVersionError             a newer facesearch made it
│   ├── IndexDamagedError             its catalog is not a catalog
│   ├── ModelMismatchError            another model made it
│   │   └── ModelSwitchedError            another model took over while it was open
│   └── StorageError                  the disk is read-only or fails
│       └── DiskFullError                 it has no room left
└── LockedError                  4    another run is writing

Every message is one line: what is wrong, with the value, and what to do next. The other exit codes are not errors of
this tree: 0 done, 1 nothing reached the threshold, 5 done but not all of it, 70 a bug, 129, 130 and 143 stopped by
SIGHUP (the terminal was closed), Ctrl-C and SIGTERM, 141 nobody reads the output any more.
"""

from __future__ import annotations

__all__ = [
    "DeviceError",
    "DiskFullError",
    "FacesearchError",
    "IndexDamagedError",
    "IndexNotFoundError",
    "IndexVersionError",
    "InputError",
    "LockedError",
    "ModelError",
    "ModelMismatchError",
    "ModelSwitchedError",
    "NoFaceError",
    "PhotoError",
    "PhotoTooLargeError",
    "StorageError",
    "StoreError",
    "UsageError",
]


class FacesearchError(Exception):
    """The root of the tree: `except FacesearchError` catches all that facesearch raises on purpose."""

    exit_code = 3


class UsageError(FacesearchError):
    """The question itself makes no sense, whatever the files are.

    `option` names the option that is to be given another value, if one is; the message begins with it.
    """

    exit_code = 2

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class InputError(FacesearchError):
    """Something that was given cannot be used."""


class PhotoError(InputError):
    """A photo cannot be read or decoded."""


class PhotoTooLargeError(PhotoError):
    """A photo is over a limit that can be raised, or takes more memory than there is now."""


class NoFaceError(InputError):
    """A query photo shows no face."""


class ModelError(InputError):
    """A model is missing, broken or not known."""


class DeviceError(InputError):
    """A device or runtime was asked for that is not there."""


class StoreError(FacesearchError):
    """The index cannot be used."""


class IndexNotFoundError(StoreError):
    """There is no index where one was looked for."""


class IndexVersionError(StoreError):
    """The index was made by a newer facesearch."""


class IndexDamagedError(StoreError):
    """The catalog is not a catalog."""


class ModelMismatchError(StoreError):
    """The index was made with another model."""


class ModelSwitchedError(ModelMismatchError):
    """Another model took over while the index was open."""


class StorageError(StoreError):
    """The disk is read-only or fails."""


class DiskFullError(StorageError):
    """The disk has no room left."""


class LockedError(FacesearchError):
    """Another run is writing to the index."""

    exit_code = 4
