"""The errors of facesearch as one tree, with their exit codes.

FacesearchError                 exit
├── UsageError                   2    an argument or a combination of arguments is invalid
├── InputError                   3    an input cannot be used
│   ├── PhotoError                    a photo cannot be read or decoded
│   │   └── PhotoTooLargeError        a photo exceeds a limit that can be raised
│   ├── NoFaceError                   a query photo shows no face
│   ├── ModelError                    a model is missing, broken or unknown
│   └── DeviceError                   a device or runtime is not available
├── StoreError                   3    the index cannot be used
│   ├── IndexNotFoundError            the index does not exist
│   ├── IndexVersionError             a newer facesearch made the index
│   ├── IndexDamagedError             the catalog is damaged
│   ├── ModelMismatchError            another model made the index
│   │   └── ModelSwitchedError            the model was switched while the index was open
│   └── StorageError                  the disk is read-only or fails
│       └── DiskFullError                 the disk is full
├── GalleryError                 3    a shared gallery cannot be reached or used
│   └── ConflictError                 another copy of the index was pushed to the gallery
└── LockedError                  4    another run is writing to the index

Every message is one line: what is wrong, with the value, and what to do next. The latter is a `Hint` if front ends
have their own words for it, such as an option of a command. The other exit codes are not errors: 0 done, 1 nothing
reached the threshold, 5 done but not complete, 70 a bug, 129, 130 and 143 stopped by SIGHUP (the terminal was closed),
Ctrl-C and SIGTERM, 141 the reader of the output is gone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = [
    "ConflictError",
    "DeviceError",
    "DiskFullError",
    "FacesearchError",
    "GalleryError",
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
    """What to do next, in terms of the library; `{names}` stand for values.

    An error carries a hint, and a line of text may end in one. A front end replaces it by its own words. No two hints
    start alike, unless one is the start of the other.
    """

    ALREADY_ITS_MODEL = "a refresh reads what is left, a refresh with again reads all photos again"
    ANOTHER_FILE = "name another file, or let it be overwritten"
    ANOTHER_INDEX = "use another index"
    ANOTHER_NAME = "give another name, or remove the model {name} first"
    ANOTHER_PLACE = "choose another folder for the index"
    ANOTHER_PLACE_OR_REPLACE = "restore to another folder, or let the index be overwritten"
    ANYWAY = "check the path, or use anyway for a disk that is not mounted now"
    ASK_OWNER = "ask the owner, or use another index"
    BRING_MODEL = "install it with pull or add_pack"
    BY_HAND = "or download {url} yourself, then pull {name} from that file"
    CALIBRATE = "calibrate the model again"
    CHECK = "check the index"
    CONNECT_GALLERY = "connect one first"
    CPU = "{remedy}, or use the device cpu"
    CPU_OR_MODEL = "use the device cpu, or another model"
    DEFAULT_MODEL = "choose another model for new indexes, or none"
    EMBEDDED = "the model embedded is small and free"
    FACE_IDS = "hits and exported faces carry their ids"
    FIND_AGAIN = "a refresh with again finds what was in them"
    GALLERY_ADDRESS = "an address starts with postgresql://, http://, https:// or milvus-lite:///"
    GALLERY_COPY = "take_over pushes this copy; to keep both, make a new index"
    GALLERY_DISK = "free some space on the server"
    GALLERY_INIT = "Gallery.make() makes one"
    GALLERY_NAME = "connect it under another name"
    GALLERY_LOGIN = "set FACESEARCH_GALLERY_PASSWORD, or use the client's own password file"
    GALLERY_RIGHTS = "ask whoever runs the server for the right"
    GALLERY_SERVER = "check the address and the server"
    GROUP = "Index.people.group() groups them"
    HISTORY = "Index.people.history() has their numbers"
    HIDE_GONE = "the next refresh hides missing photos"
    INDEX_A_FOLDER = "make one from a folder of photos"
    INSTALL_EXTRA = "install the package with the extra {extra}"
    KEEP_OUT_PHOTOS = "never_again works for photos and people; give a path or a person"
    LESS_MEMORY = "index with a max_memory of 400 MB"
    LEFT_OUT = "Index.people.left_out() has their numbers"
    LIST_MODELS = "choose one of the listed models"
    LIST_PEOPLE = "Index.people.list() has their numbers"
    LOCAL_DISK = "choose a folder on a local disk for the index; the photos may stay where they are"
    LOOK_FOR_CHANGES = "the next refresh reads it again"
    MADE_WHEN_NEEDED = "the next query or refresh rebuilds it"
    MAKE_INDEX = "make one from a folder of photos, or name another"
    MEASURE_OR_THRESHOLD = "give a threshold, or calibrate the model on photos of known people"
    MODEL_PATH = "install it, or give its folder as the model"
    MORE_PIXELS = "raise max_pixels"
    MORE_PIXELS_TO = "raise max_pixels to {megapixels} million"
    ID_TAKEN = "give another id, or merge the two"
    NAME_TAKEN = "if_taken says whether they are one person or two"
    NAME_INDEX = "name the index in the filter"
    NAME_A_FOLDER = "name photos, or folders of photos"
    ONE_LIMIT = "give one of threshold and fmr"
    ONE_THING_TO_FORGET = "give one of path, face, folder and person"
    NEW_EMBEDDINGS = "Index.switch_model() reads all photos again, while the index answers as before"
    NEWER_VERSION = "install a newer version of this package"
    PACK = "the model argument selects an InsightFace pack"
    PLACE_FOR_INDEX = "name a folder for the index"
    PULL_AGAIN = "remove the model {name}, then pull it again"
    READ_AGAIN = "a refresh with again measures it"
    REFRESH = "the next refresh does that"
    READ_PHOTOS_AGAIN = "the next refresh reads their photos again"
    REINSTALL_MODEL = "remove the model {name}, then install it again"
    REMOVE_FIRST = "remove the model {name} first"
    REMOVE_FOLDER = "remove one of the two folders from the index"
    REMOVE_GONE = "unregister the model {name}"
    REPAIR = "a check with repair fixes it"
    RETRY_FAILED = "a refresh with retry_failed tries again"
    RESTORE_STATEMENTS = "Index.restore_statements() brings them back"
    SET_DEFAULT = "the default for new indexes; the model argument selects another"
    SPARE = "a sweep lists the ids"
    SOURCE = "give the address of another as source"
    SWITCH_MODEL = "switch the index to another model"
    SWITCH_TO = "switch the index to the model {model}"
    SWITCH_UNDER_WAY = "continue it, or cancel it"
    UPGRADE = "a refresh brings it up to date"
    USE_ITS_MODEL = "use the model it was made with, or switch it to {model}"
    WAIT = "try again later, or wait for it with wait"


class FacesearchError(Exception):
    """The base class: `except FacesearchError` catches everything that facesearch raises on purpose.

    `hint` says what to do next; None if the problem says it all. A front end may replace the hint by its own words,
    such as the name of an option. If the problem starts with the name of an option, `values["option"]` has that name,
    or a tuple of all option names in the problem.
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
        """Return the problem and the advice in one line; `{names}` in the advice stand for the error's values."""
        return self.problem if advice is None else f"{self.problem}; {advice.format_map(self.values)}"

    def about(self, what: str) -> Self:
        """Return the same error with its subject named first."""
        return type(self)(f"{what}: {self.problem}", self.hint, **self.values)


class UsageError(FacesearchError):
    """An argument or a combination of arguments is invalid, whatever the files are.

    `values["option"]` has the name of the option at fault, or a tuple of names.
    """

    exit_code = 2


class InputError(FacesearchError):
    """An input cannot be used."""


class PhotoError(InputError):
    """A photo cannot be read or decoded."""


class PhotoTooLargeError(PhotoError):
    """A photo exceeds a limit that can be raised, or needs more memory than is free."""


class NoFaceError(InputError):
    """A query photo shows no face."""


class ModelError(InputError):
    """A model is missing, broken or unknown."""


class DeviceError(InputError):
    """A device or runtime is not available."""


class StoreError(FacesearchError):
    """The index cannot be used."""


class IndexNotFoundError(StoreError):
    """The index does not exist."""


class IndexVersionError(StoreError):
    """The index was made by a newer facesearch."""


class IndexDamagedError(StoreError):
    """The catalog is damaged, or is not a catalog of facesearch."""


class ModelMismatchError(StoreError):
    """The index was made with another model."""


class ModelSwitchedError(ModelMismatchError):
    """The model was switched while the index was open."""


class StorageError(StoreError):
    """The disk is read-only or fails."""


class DiskFullError(StorageError):
    """The disk is full."""


class GalleryError(FacesearchError):
    """A shared gallery cannot be reached or used."""


class ConflictError(GalleryError):
    """Another copy of the index was pushed to the gallery."""


class LockedError(FacesearchError):
    """Another run is writing to the index."""

    exit_code = 4
