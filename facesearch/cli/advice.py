"""What to do next, in the words of the command line: lower rooms speak of the thing, here it gets its option."""

from __future__ import annotations

from facesearch.errors import FacesearchError, Hint

__all__ = ["in_options"]

_WORDS = {
    Hint.ANOTHER_FILE: "give another name, or --overwrite",
    Hint.ANOTHER_NAME: "give another with --name, or facesearch models remove {name} first",
    Hint.BRING_MODEL: "facesearch models pull or models add brings it here",
    Hint.KEEP_OUT_PHOTOS: "--never-again remembers photos; give the PATH of a photo or a folder",
    Hint.LIST_MODELS: "facesearch models list shows those that are",
    Hint.MEASURE_OR_THRESHOLD: "give --threshold, or measure them with facesearch models calibrate FOLDER",
    Hint.NAME_A_FOLDER: "name a folder of photos: facesearch index FOLDER",
    Hint.ONE_LIMIT: "give one of --threshold and --fmr",
    Hint.ONE_THING_TO_FORGET: "give one of PATH, --face ID and --root DIR",
    Hint.SOURCE: "--from says where another one is",
}


def in_options(error: FacesearchError) -> str:
    """An error as a user of the command line is told it."""
    told = error.told(None if error.hint is None else _WORDS.get(error.hint, error.hint))
    option = error.values.get("option")
    if isinstance(option, str) and told.startswith(option):
        return f"--{option.replace('_', '-')}{told[len(option) :]}"
    return told
