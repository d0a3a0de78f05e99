"""The digests of a pack's files, and the record in the folder of a pack that facesearch installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesearch.errors import ModelError
from facesearch.files import sha256

__all__ = [
    "RECORD_NAME",
    "PackRecord",
    "checked_digests",
    "faults_of",
    "file_digest",
    "graph_digests",
    "kept_json",
    "read_record",
]

RECORD_NAME = "facesearch.json"
"""The file in a pack's folder that records that facesearch installed it, and its content."""

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRecord:
    """The content of a pack when facesearch installed it.

    `source` is where the archive came from and `sha256` its digest. `digests` maps the paths of all files, relative to
    the pack's folder, to their digests. `installed` is the time in UTC, as ISO 8601.
    """

    name: str
    source: str
    sha256: str
    licence: str
    installed: str
    digests: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the record as an object for `write_json`."""
        return {
            "version": _VERSION, "name": self.name, "source": self.source, "sha256": self.sha256,
            "licence": self.licence, "installed": self.installed, "files": dict(self.digests),
        }  # fmt: skip


def read_record(folder: Path) -> PackRecord | None:
    """Return the record in a pack's folder; None if facesearch did not install it. Raises `ModelError` if damaged."""
    path = folder / RECORD_NAME
    advice = f"delete {folder} yourself, and pull the model again"
    kept = kept_json(path, advice)
    if kept is None:
        return None
    try:
        texts = {key: str(kept[key]) for key in ("name", "source", "sha256", "licence", "installed")}
        return PackRecord(**texts, digests=checked_digests(kept["files"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: damaged; {advice}") from error


def faults_of(folder: Path, digests: Mapping[str, str], *, others: bool = False) -> list[str]:
    """Return one line for each file of a pack that differs from its digest; empty if there is none.

    A graph without a digest is a fault too, unless `others` are allowed: the heads are chosen among all graphs.
    """
    if not folder.is_dir():
        return [f"{folder}: not found"]
    faults = []
    for name, digest in sorted(digests.items()):
        try:
            if file_digest(folder / name) != digest:
                faults.append(f"{folder / name}: changed, its checksum is wrong")
        except FileNotFoundError:
            faults.append(f"{folder / name}: not found")
        except OSError as error:
            faults.append(f"{folder / name}: cannot be read ({error.strerror})")
    strangers = [] if others else sorted(path.name for path in folder.glob("*.onnx") if path.name not in digests)
    return faults + [f"{folder / name}: not part of the pack" for name in strangers]


def graph_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every .onnx file in a folder, by name. Raises `ModelError` if one is unreadable."""
    try:
        return {path.name: file_digest(path) for path in sorted(folder.glob("*.onnx"))}
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read ({error.strerror})") from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits. Raises `OSError`."""
    return sha256(path).hex()


def kept_json(path: Path, advice: str) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if the file is missing. Raises `ModelError`, with `advice` if damaged."""
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except ValueError as error:
        raise ModelError(f"{path}: damaged; {advice}") from error
    if not isinstance(kept, dict):
        raise ModelError(f"{path}: damaged; {advice}")
    return kept


def checked_digests(kept: Mapping[str, Any]) -> dict[str, str]:
    """Return digests by file name. Raises `ValueError` if a name leads outside the folder."""
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in kept):
        raise ValueError("a path outside the folder")
    return {str(name): str(digest) for name, digest in kept.items()}
