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
    """What to do next, in terms of the thing; `{names}` stand for values.

    An error carries one, and a line of text may end in one: a front end finds it there, too, and says it in its own
    words. No two begin alike, unless one is the beginning of the other.
    """

    ALREADY_ITS_MODEL = "a refresh reads what is left, one with again reads all photos"
    ANOTHER_FILE = "name another file, or let it be overwritten"
    ANOTHER_INDEX = "use another index"

    ANOTHER_NAME = "give another name, or remove the model {name} first"
    ANOTHER_PLACE = "choose another folder for the index"
    ANYWAY = "check the path, or move it anyway, to a disk that is not mounted now"
    ASK_OWNER = "ask the owner of it, or use another index"
    BRING_MODEL = "pull or add it first"
    BY_HAND = "or fetch {url} by other means, then pull {name} from that file"
    CALIBRATE = "calibrate the model again"
    CHECK = "a check of the index tells more"
    CPU = "{remedy}, or use the device cpu"
    CPU_OR_MODEL = "use the device cpu, or another model"
    DEFAULT_MODEL = "choose another model for new indexes, or none"
    EMBEDDED = "the model embedded is the small free one"
    FACE_IDS = "hits and exported faces have their ids"
    FIND_AGAIN = "a refresh with again finds what was in them"
    HIDE_GONE = "the next refresh hides what has gone"
    INDEX_A_FOLDER = "an index is made of a folder of photos"
    KEEP_OUT_PHOTOS = "give the path of a photo or a folder, which never_again remembers"
    LESS_MEMORY = "index with a max_memory of 400 MB"
    LIST_MODELS = "choose one of those that are listed"
    LOCAL_DISK = "choose a folder on a local disk for the index; the photos may stay where they are"
    LOOK_FOR_CHANGES = "the next refresh reads it again"
    MADE_WHEN_NEEDED = "the next question or refresh makes it"
    MAKE_INDEX = "make one of a folder of photos, or name another"
    MEASURE_OR_THRESHOLD = "give a threshold, or calibrate the model on photos of people whose names are known"
    MODEL_PATH = "name its folder as the model"
    MORE_PIXELS = "raise max_pixels"
    MORE_PIXELS_TO = "raise max_pixels to {megapixels} million"
    NAME_A_FOLDER = "name photos, or folders of photos"
    ONE_LIMIT = "give one of threshold and fmr"
    ONE_THING_TO_FORGET = "give one of path, face and folder"
    PACK = "an InsightFace pack that is named comes first"
    PLACE_FOR_INDEX = "name a folder for the index"
    PULL_AGAIN = "remove the model {name}, then pull it again"
    READ_AGAIN = "a refresh with again measures it"
    READ_PHOTOS_AGAIN = "the next refresh reads their photos again"
    REINSTALL_MODEL = "remove the model {name}, then install it again"
    REMOVE_FIRST = "remove the model {name} first"
    REMOVE_FOLDER = "remove one of the two folders from the index"
    REMOVE_GONE = "take the model {name} off the list"
    REPAIR = "a check with repair mends it"
    RETRY_FAILED = "a refresh with retry_failed tries again"
    SET_DEFAULT = "the default for new indexes; a model that is named comes first"
    SOURCE = "say with source where another one is"
    SWITCH_MODEL = "switch the index to another model"
    SWITCH_TO = "switch the index to the model {model}"
    SWITCH_UNDER_WAY = "go on with it, or cancel it"
    UPGRADE = "a refresh brings it up to date"
    USE_ITS_MODEL = "use the model it was made with, or switch it to {model}"
    WAIT = "try again later, or wait for it"


class FacesearchError(Exception):
    """The root of the tree: `except FacesearchError` catches all that facesearch raises on purpose.

    `hint` is what to do next, in terms of the thing; None where the message says all. A front end that has other words
    for it, such as the name of an option, tells the error with those. Where the problem begins with the name of an
    option, that is among the error's values, as `option`; another one named in it is there as `other`.
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

    The option that is to be given another value, or several of them, are among the error's values, as `option`; the
    problem names them.
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
