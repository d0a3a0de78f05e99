"""What a pack consists of: the digests of its files, and the record that is kept where facesearch has installed it."""

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
"""The file in a pack's folder that tells that facesearch installed it, and what it consisted of."""

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRecord:
    """What a pack consisted of when facesearch installed it.

    `source` is where the archive came from, `sha256` its digest; `digests` are those of all its files, by their paths
    relative to the pack's folder; `installed` is UTC, as ISO 8601.
    """

    name: str
    source: str
    sha256: str
    licence: str
    installed: str
    digests: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """What `write_json` takes."""
        return {
            "version": _VERSION, "name": self.name, "source": self.source, "sha256": self.sha256,
            "licence": self.licence, "installed": self.installed, "files": dict(self.digests),
        }  # fmt: skip


def read_record(folder: Path) -> PackRecord | None:
    """The record in a pack's folder; None when facesearch did not install it. Raises `ModelError` when damaged."""
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
    """How the files of a pack differ from their digests, one line each; empty: sound.

    A graph without a digest is a fault too, unless there may be `others`: heads are told from all that are there.
    """
    if not folder.is_dir():
        return [f"{folder} is not there"]
    faults = []
    for name, digest in sorted(digests.items()):
        try:
            if file_digest(folder / name) != digest:
                faults.append(f"{folder / name}: not the file that it was")
        except FileNotFoundError:
            faults.append(f"{folder / name}: not there")
        except OSError as error:
            faults.append(f"{folder / name}: cannot be read ({error.strerror})")
    strangers = [] if others else sorted(path.name for path in folder.glob("*.onnx") if path.name not in digests)
    return faults + [f"{folder / name}: was not part of it" for name in strangers]


def graph_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every .onnx file in a folder, by name. Raises `ModelError` when one cannot be read."""
    try:
        return {path.name: file_digest(path) for path in sorted(folder.glob("*.onnx"))}
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read ({error.strerror})") from error


def file_digest(path: Path) -> str:
    """SHA-256 in hexadecimal digits. Raises `OSError`."""
    return sha256(path).hex()


def kept_json(path: Path, advice: str) -> dict[str, Any] | None:
    """The object in a file of JSON; None where there is no file. Raises `ModelError`, which ends in the `advice`."""
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
    """Names to digests, when none of the names leads out of the folder. Raises `ValueError`."""
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in kept):
        raise ValueError("a path that leads elsewhere")
    return {str(name): str(digest) for name, digest in kept.items()}
