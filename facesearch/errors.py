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

Every message is one line: what is wrong, with the value, and what to do next. What to do is a `Hint` where a front end
has words of its own for it, such as an option of a command. The other exit codes are not errors of this tree: 0 done,
1 nothing reached the threshold, 5 done but not all of it, 70 a bug, 129, 130 and 143 stopped by SIGHUP (the terminal
was closed), Ctrl-C and SIGTERM, 141 nobody reads the output any more.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = [
    "DeviceError",
    "DiskFullError",
    "FacesearchError",
    "Hint",
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


class Hint(StrEnum):
    """What to do next, in terms of the thing; `{names}` stand for values that an error brings along."""

    ANOTHER_FILE = "name another file, or let it be overwritten"
    ANOTHER_NAME = "give another name, or remove the model {name} first"
    BRING_MODEL = "pull or add it first"
    KEEP_OUT_PHOTOS = "give the path of a photo or a folder, which never_again remembers"
    LIST_MODELS = "choose one of those that are listed"
    MEASURE_OR_THRESHOLD = "give a threshold, or calibrate the model on photos of people whose names are known"
    NAME_A_FOLDER = "name a folder of photos"
    ONE_LIMIT = "give one of threshold and fmr"
    ONE_THING_TO_FORGET = "give one of path, face and folder"
    SOURCE = "say with source where another one is"


class FacesearchError(Exception):
    """The root of the tree: `except FacesearchError` catches all that facesearch raises on purpose.

    `hint` is what to do next, in terms of the thing; None where the message says all. A front end that has other words
    for it, such as the name of an option, tells the error with those.
    """

    exit_code = 3

    def __init__(self, problem: str = "", hint: Hint | None = None, **values: object) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.values = values

    def __str__(self) -> str:
        return self.told(self.hint)

    def told(self, advice: str | None) -> str:
        """The problem, then what to do next in these words; `{names}` in them stand for the error's values."""
        return self.problem if advice is None else f"{self.problem}; {advice.format_map(self.values)}"

    def about(self, what: str) -> Self:
        """The same error with what it is about named first."""
        return type(self)(f"{what}: {self.problem}", self.hint, **self.values)


class UsageError(FacesearchError):
    """The question itself makes no sense, whatever the files are.

    Where the problem begins with the name of an option, that is among the error's values, as `option`.
    """

    exit_code = 2


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
