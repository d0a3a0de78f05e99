"""Hints in terms of the command line: lower rooms name the thing, this module names the option."""

from __future__ import annotations

import re
from functools import cache

from facesearch.errors import FacesearchError, Hint
from facesearch.filters import Filter
from facesearch.options import described_fields
from facesearch.query_options import QueryOptions

__all__ = ["in_options", "option_name", "with_options"]

_WORDS = {
    Hint.ALREADY_ITS_MODEL: "`facesearch index` reads what is left, `index --again` reads all photos again",
    Hint.ANOTHER_FILE: "give another name, or --overwrite",
    Hint.ANOTHER_INDEX: "choose another index with --index",
    Hint.ANOTHER_NAME: "give another with --name, or run `facesearch models remove {name}` first",
    Hint.ANOTHER_PLACE: "choose another folder with --index",
    Hint.ANOTHER_PLACE_OR_REPLACE: "choose another folder with --index, or replace it with --overwrite",
    Hint.ANYWAY: "check the path, or use --anyway for a disk that is not mounted now",
    Hint.ASK_OWNER: "ask the owner, or choose another index with --index",
    Hint.BRING_MODEL: "install it with facesearch models pull or models add",
    Hint.BY_HAND: "or download {url} yourself and run: facesearch models pull {name} --from FILE.zip",
    Hint.CALIBRATE: "measure it again with facesearch models calibrate",
    Hint.CHECK: "run `facesearch check`",
    Hint.CONNECT_GALLERY: "connect one with `facesearch gallery connect URL`",
    Hint.CPU: "{remedy}, or use --device cpu",
    Hint.CPU_OR_MODEL: "use --device cpu, or another model",
    Hint.DEFAULT_MODEL: "set another with facesearch models use, or none with models use --none",
    Hint.EMBEDDED: "--model embedded takes the small free one",
    Hint.FACE_IDS: "`facesearch query --format jsonl` shows face_id",
    Hint.FIND_AGAIN: "`facesearch index --again` finds what was in them",
    Hint.GALLERY_ADDRESS: "an address starts with postgresql://, http://, https:// or milvus-lite:///",
    Hint.GALLERY_COPY: "--take-over pushes this copy; to keep both, index the photos into a new index",
    Hint.GALLERY_DISK: "free some space on the server",
    Hint.GALLERY_INIT: "`facesearch gallery init` makes one",
    Hint.GALLERY_LOGIN: "set $FACESEARCH_GALLERY_PASSWORD, or use the client's own password file",
    Hint.GALLERY_NAME: "give this one another name with `gallery connect URL --as NAME`",
    Hint.GALLERY_RIGHTS: "ask whoever runs the server; `gallery init --print-sql` shows the rights",
    Hint.GALLERY_SERVER: "check the address, the password and the server",
    Hint.GROUP: "`facesearch people group` groups them",
    Hint.HIDE_GONE: "the next `facesearch index` hides missing photos",
    Hint.INDEX_A_FOLDER: "make one with `facesearch index FOLDER`",
    Hint.INSTALL_EXTRA: "pip install 'facesearch[{extra}]'",
    Hint.KEEP_OUT_PHOTOS: "--never-again works for photos and people; give a PATH or --person WHO",
    Hint.LESS_MEMORY: "run `facesearch index --max-memory 400M`",
    Hint.LEFT_OUT: "`facesearch people left-out` lists their numbers",
    Hint.LIST_MODELS: "run `facesearch models` for a list",
    Hint.HISTORY: "`facesearch people history` lists them",
    Hint.ID_TAKEN: "give another id, or --same if that is one person",
    Hint.NAME_TAKEN: "--same if that is one person, --another if these are two",
    Hint.LIST_PEOPLE: "`facesearch people` lists their numbers",
    Hint.LOCAL_DISK: "choose a folder on a local disk with --index; the photos may stay where they are",
    Hint.LOOK_FOR_CHANGES: "`facesearch index` reads it again",
    Hint.MADE_WHEN_NEEDED: "the next query or `facesearch index` rebuilds it",
    Hint.MAKE_INDEX: "make one with `facesearch index FOLDER`, or name another with --index",
    Hint.MEASURE_OR_THRESHOLD: "use --threshold, or measure them with facesearch models calibrate FOLDER",
    Hint.MODEL_PATH: "install it with facesearch models pull, or give its folder with --model",
    Hint.MORE_PIXELS: "raise the limit with --max-megapixels",
    Hint.MORE_PIXELS_TO: "raise the limit with --max-megapixels {megapixels}",
    Hint.NAME_INDEX: "name the index with --of NAME",
    Hint.NAME_A_FOLDER: "name a folder of photos: facesearch index FOLDER",
    Hint.NEW_EMBEDDINGS: "`facesearch reindex` reads all photos again, while the index answers as before",
    Hint.NEWER_VERSION: "install a newer version of facesearch",
    Hint.ONE_LIMIT: "give one of --threshold and --fmr",
    Hint.ONE_THING_TO_FORGET: "give one of PATH, --face ID, --person WHO and --folder DIR",
    Hint.PACK: "--model selects an InsightFace pack",
    Hint.PLACE_FOR_INDEX: "name a folder with --index",
    Hint.PULL_AGAIN: "run `facesearch models remove {name}`, then pull it again",
    Hint.READ_AGAIN: "measure it with --again",
    Hint.REFRESH: "`facesearch index` does that",
    Hint.READ_PHOTOS_AGAIN: "run `facesearch index` to read their photos again",
    Hint.REINSTALL_MODEL: "run `facesearch models remove {name}`, then install it again",
    Hint.REMOVE_FIRST: "run `facesearch models remove {name}` first",
    Hint.REMOVE_FOLDER: "remove one of them with facesearch folders remove",
    Hint.REMOVE_GONE: "unregister it with facesearch models remove {name}",
    Hint.REPAIR: "facesearch check --repair fixes it",
    Hint.SPARE: "`forget --person WHO --dry-run` lists the ids",
    Hint.RETRY_FAILED: "--retry-failed tries again",
    Hint.RESTORE_STATEMENTS: "`facesearch restore FILE` with that file brings them back",
    Hint.SET_DEFAULT: "the default set with facesearch models use; --model selects another",
    Hint.SOURCE: "give the address of another with --from",
    Hint.SWITCH_MODEL: "switch to another model with facesearch reindex --model NAME",
    Hint.SWITCH_TO: "bring it up to date with facesearch reindex --model {model}",
    Hint.SWITCH_UNDER_WAY: "facesearch reindex continues it, reindex --cancel cancels it",
    Hint.UPGRADE: "facesearch index brings it up to date",
    Hint.USE_ITS_MODEL: "omit --model to use it, or switch it: facesearch reindex --model {model}",
    Hint.WAIT: "try again later, or wait for it with --wait",
}


def in_options(error: FacesearchError) -> str:
    """Return an error as one line for the command line; each `option` is named as it is typed."""
    told = error.told(None if error.hint is None else _WORDS[error.hint])
    named = error.values.get("option", ())
    options = named if isinstance(named, tuple) else (str(named),)
    for option in options:
        told = re.sub(rf"(?<![\w-]){option}\b", option_name(option), told, count=1)
    return with_options(told)  # it may contain the text of another error


def option_name(field: str) -> str:
    """Return the option that stands for a field of `QueryOptions` or `Filter`."""
    return "--of" if field == "index" else _called().get(field) or f"--{field.replace('_', '-')}"


@cache
def _called() -> dict[str, str]:
    return {
        field.name: f"--{about.called}"
        for options in (QueryOptions, Filter)
        for field, about in described_fields(options)
        if about.called
    }


def with_options(text: str) -> str:
    """Return a line from a lower room with its hints in terms of options."""
    return _hints().sub(_in_words, text)


@cache
def _hints() -> re.Pattern[str]:
    """Return a pattern with a named group per hint; a longer hint comes before one that is its beginning."""
    ordered = sorted(Hint, key=len, reverse=True)
    return re.compile("|".join(f"(?P<{hint.name}>{_pattern(hint)})" for hint in ordered))


def _pattern(hint: Hint) -> str:
    return re.sub(r"\\\{\w+\\\}", r"\\S+", re.escape(hint))


def _in_words(found: re.Match[str]) -> str:
    hint = Hint[str(found.lastgroup)]
    values = re.fullmatch(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\S+)", re.escape(hint)), found[0])
    assert values is not None
    return _WORDS[hint].format_map(values.groupdict())
