"""What to do next, in the words of the command line: lower rooms speak of the thing, here it gets its option."""

from __future__ import annotations

import re
from functools import cache

from facesearch.errors import FacesearchError, Hint

__all__ = ["in_options", "with_options"]

_WORDS = {
    Hint.ALREADY_ITS_MODEL: "facesearch index looks at what is left, index --again at all anew",
    Hint.ANOTHER_FILE: "give another name, or --overwrite",
    Hint.ANOTHER_INDEX: "choose another index with --index",
    Hint.ANOTHER_NAME: "give another with --name, or facesearch models remove {name} first",
    Hint.ANOTHER_PLACE: "choose another folder with --index",
    Hint.ANYWAY: "check the path, or give --anyway for a disk that is not mounted now",
    Hint.ASK_OWNER: "ask the owner, or name another index with --index",
    Hint.BRING_MODEL: "facesearch models pull or models add brings it here",
    Hint.BY_HAND: "or fetch {url} by other means, then: facesearch models pull {name} --from FILE.zip",
    Hint.CALIBRATE: "measure it anew with facesearch models calibrate",
    Hint.CHECK: "facesearch check tells more",
    Hint.CPU: "{remedy}, or use --device cpu",
    Hint.CPU_OR_MODEL: "use --device cpu, or another model",
    Hint.DEFAULT_MODEL: "facesearch models use sets another, models use --none leaves the choice to facesearch",
    Hint.EMBEDDED: "--model embedded takes the small free one",
    Hint.FACE_IDS: "`facesearch query --format jsonl` shows face_id",
    Hint.FIND_AGAIN: "`facesearch index --again` finds what was in them",
    Hint.HIDE_GONE: "the next `facesearch index` hides what has gone",
    Hint.INDEX_A_FOLDER: "facesearch index FOLDER makes one",
    Hint.KEEP_OUT_PHOTOS: "--never-again remembers photos; give the PATH of a photo or a folder",
    Hint.LESS_MEMORY: "index with --max-memory 400M",
    Hint.LIST_MODELS: "facesearch models list shows those that are",
    Hint.LOCAL_DISK: "choose a folder on a local disk with --index; the photos may stay where they are",
    Hint.LOOK_FOR_CHANGES: "`facesearch index` looks at it again",
    Hint.MADE_WHEN_NEEDED: "the next question or `facesearch index` makes it",
    Hint.MAKE_INDEX: "make one with `facesearch index FOLDER`, or name another with --index",
    Hint.MEASURE_OR_THRESHOLD: "give --threshold, or measure them with facesearch models calibrate FOLDER",
    Hint.MODEL_PATH: "say where it is with --model",
    Hint.MORE_PIXELS: "raise it with --max-megapixels",
    Hint.MORE_PIXELS_TO: "raise it with --max-megapixels {megapixels}",
    Hint.NAME_A_FOLDER: "name a folder of photos: facesearch index FOLDER",
    Hint.ONE_LIMIT: "give one of --threshold and --fmr",
    Hint.ONE_THING_TO_FORGET: "give one of PATH, --face ID and --root DIR",
    Hint.PACK: "--model takes an InsightFace pack",
    Hint.PLACE_FOR_INDEX: "name a folder with --index",
    Hint.PULL_AGAIN: "facesearch models remove {name}, then pull it again",
    Hint.READ_AGAIN: "--again does",
    Hint.READ_PHOTOS_AGAIN: "run `facesearch index` to read their photos again",
    Hint.REINSTALL_MODEL: "remove it, then install it again: facesearch models remove {name}",
    Hint.REMOVE_FIRST: "facesearch models remove {name} first",
    Hint.REMOVE_FOLDER: "facesearch roots remove takes one of them away",
    Hint.REMOVE_GONE: "facesearch models remove {name} takes it off the list",
    Hint.REPAIR: "facesearch check --repair mends it",
    Hint.RETRY_FAILED: "--retry-failed tries again",
    Hint.SET_DEFAULT: "the default set with facesearch models use; --model takes another",
    Hint.SOURCE: "--from says where another one is",
    Hint.SWITCH_MODEL: "facesearch reindex --model NAME switches to another model",
    Hint.SWITCH_TO: "facesearch reindex --model {model} brings it up to date",
    Hint.SWITCH_UNDER_WAY: "facesearch reindex goes on with it, --cancel drops it",
    Hint.UPGRADE: "facesearch index brings it up to date",
    Hint.USE_ITS_MODEL: "leave --model away to use it, or switch it: facesearch reindex --model {model}",
    Hint.WAIT: "try again later, or --wait for it",
}


def in_options(error: FacesearchError) -> str:
    """An error as a user of the command line is told it; the first mention of each `option` is as it is typed."""
    told = error.told(None if error.hint is None else _WORDS[error.hint])
    named = error.values.get("option", ())
    options = named if isinstance(named, tuple) else (str(named),)
    for option in options:
        told = re.sub(rf"(?<![\w-]){option}\b", f"--{option.replace('_', '-')}", told, count=1)
    return with_options(told)  # it may hold the text of another


def with_options(text: str) -> str:
    """A line from a lower room: hints in it, which name the thing, name the option instead."""
    return _hints().sub(_in_words, text)


@cache
def _hints() -> re.Pattern[str]:
    """Every hint, the longer before what it begins with; a group of its own for each, so that it is known again."""
    ordered = sorted(Hint, key=len, reverse=True)
    return re.compile("|".join(f"(?P<{hint.name}>{_pattern(hint)})" for hint in ordered))


def _pattern(hint: Hint) -> str:
    return re.sub(r"\\\{\w+\\\}", r"\\S+", re.escape(hint))


def _in_words(found: re.Match[str]) -> str:
    hint = Hint[str(found.lastgroup)]
    values = re.fullmatch(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\S+)", re.escape(hint)), found[0])
    assert values is not None
    return _WORDS[hint].format_map(values.groupdict())
