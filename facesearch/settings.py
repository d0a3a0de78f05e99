"""What the user's environment says: which index is meant, and where facesearch keeps what it is told or measures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facesearch.errors import Hint, UsageError

__all__ = ["default_index_path", "user_data", "write_json"]


def user_data() -> Path | None:
    """The folder, whether or not it is there; None for whoever has no home, as in some containers."""
    from platformdirs import user_data_path

    try:
        return user_data_path("facesearch", appauthor=False)
    except RuntimeError:
        return None


def default_index_path() -> Path:
    """$FACESEARCH_INDEX, else `./indexes/default` where `./indexes` is, else a folder among the user's data."""
    named = os.environ.get("FACESEARCH_INDEX")
    if named:
        return Path(named).expanduser()
    if Path("indexes").is_dir():
        return Path("indexes/default")
    folder = user_data()
    if folder is None:
        raise UsageError("there is no home folder to keep an index in", Hint.PLACE_FOR_INDEX)
    return folder / "default"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file in one step, so that a power cut leaves the old one or the new one. Raises `OSError`."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("w") as stream:
            json.dump(value, stream, indent=1)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    finally:
        if os.path.lexists(unfinished):
            unfinished.unlink()
