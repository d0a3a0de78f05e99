"""Where facesearch keeps what the user has told it or let it measure, and how it is written there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["user_data", "write_json"]


def user_data() -> Path | None:
    """The folder, whether or not it is there; None for whoever has no home, as in some containers."""
    from platformdirs import user_data_path

    try:
        return user_data_path("facesearch", appauthor=False)
    except RuntimeError:
        return None


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
