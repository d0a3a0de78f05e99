"""Settings from the user's environment: the default index, the folder for facesearch's own data; and defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facesearch.errors import Hint, UsageError
from facesearch.files import replacing

__all__ = ["DEFAULT_MAX_PIXELS", "EMBEDDED_THRESHOLD", "default_index_path", "user_data", "write_json"]


def user_data() -> Path | None:
    """Return the folder for facesearch's data, which need not exist; None without a home, as in some containers."""
    from platformdirs import user_data_path

    try:
        return user_data_path("facesearch", appauthor=False)
    except RuntimeError:
        return None


DEFAULT_MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused: a small file may claim an enormous size and exhaust memory."""

EMBEDDED_THRESHOLD = 0.41
"""The default threshold of the embedded model, at a false-match rate of 1e-4 in its calibration."""


def default_index_path() -> Path:
    """Return $FACESEARCH_INDEX, else `./indexes/default` if `./indexes` exists, else a folder in the user's data."""
    named = os.environ.get("FACESEARCH_INDEX")
    if named:
        return Path(os.path.expanduser(named))
    if Path("indexes").is_dir():
        return Path("indexes/default")
    folder = user_data()
    if folder is None:
        raise UsageError("no home folder found for the index", Hint.PLACE_FOR_INDEX)
    return folder / "default"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file with JSON, atomically: a power cut leaves the old or the new file. Raises `OSError`."""
    with replacing(path, mode=0o666) as stream:
        stream.write(json.dumps(value, indent=1).encode() + b"\n")
