"""What the user's environment says: which index is meant, and where facesearch keeps what it is told or measures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facesearch.errors import Hint, UsageError
from facesearch.files import replacing

__all__ = ["DEFAULT_MAX_PIXELS", "default_index_path", "user_data", "write_json"]


def user_data() -> Path | None:
    """The folder, whether or not it is there; None for whoever has no home, as in some containers."""
    from platformdirs import user_data_path

    try:
        return user_data_path("facesearch", appauthor=False)
    except RuntimeError:
        return None


DEFAULT_MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused: a small file may claim to be enormous and fill the memory."""


def default_index_path() -> Path:
    """$FACESEARCH_INDEX, else `./indexes/default` where `./indexes` is, else a folder among the user's data."""
    named = os.environ.get("FACESEARCH_INDEX")
    if named:
        return Path(os.path.expanduser(named))
    if Path("indexes").is_dir():
        return Path("indexes/default")
    folder = user_data()
    if folder is None:
        raise UsageError("there is no home folder to keep an index in", Hint.PLACE_FOR_INDEX)
    return folder / "default"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file in one step, so that a power cut leaves the old one or the new one. Raises `OSError`."""
    with replacing(path, mode=0o666) as stream:
        stream.write(json.dumps(value, indent=1).encode() + b"\n")
