"""Which packs there are: those that InsightFace publishes, those that the user has registered, and what is on record.

The known packs are data, with their sources. What the user has registered, and which model new indexes get, is kept
among the user's data as JSON; what a pack consisted of when it was installed is kept in its own folder. Nothing here
looks at the network.

Sources. Names, networks, accuracy: InsightFace's `model_zoo/README.md`. Addresses: insightface 2.1's
`utils/storage.py`; the older release `v0.7` holds the same bytes. Digests: the catalogue of InsightFace's own server
(`server/backend/insightface_server/models/packages.py` and its tests), which names both releases with them. Archive
sizes: what GitHub announces; of the `raccoon` packs, which came with insightface 2.0, to a tenth of a megabyte. That
their recognisers are those of `buffalo_s` and `buffalo_l`: `python-package/docs/model_zoo.md`, by way of `cheetah`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facesearch.errors import ModelError, StorageError, UsageError
from facesearch.files import lock, sha256
from facesearch.settings import user_data, write_json

__all__ = [
    "KNOWN_PACKS",
    "RECORD_NAME",
    "UNKNOWN_LICENCE",
    "AddedPack",
    "KnownPack",
    "PackRecord",
    "PublishedPoint",
    "Registry",
    "change_registry",
    "faults_of",
    "file_digest",
    "graph_digests",
    "known_pack",
    "published_point",
    "read_record",
    "read_registry",
    "registered_name",
    "registry_path",
    "require_name",
]

RECORD_NAME = "facesearch.json"
"""The file in a pack's folder that tells that facesearch installed it, and what it consisted of."""

UNKNOWN_LICENCE = "as its maker says"

_RELEASE = "https://github.com/deepinsight/insightface/releases/download/model-zoo"
_ZOO = "https://github.com/deepinsight/insightface/tree/master/model_zoo"
_RACCOON = f"{_ZOO} (of the buffalo pack with the same recogniser)"
_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPoint:
    """At this similarity the share `fmr` of strangers, and `tmr` of pairs of one person, are taken for the same."""

    similarity: float
    fmr: float
    tmr: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPack:
    """A pack that its maker publishes.

    `download` is the size of the archive in bytes and `sha256` its digest, where it is known. `heads` are the digests
    of the detection and the recognition graph, by their files' names: what makes the pack what it is, however its
    archive was put together. Of a pack whose archive is not known only the recognition graph is, by no name.
    `accuracy` is in per cent, as `accuracy_source` gives it.
    """

    name: str
    detector: str
    recogniser: str
    dim: int
    download: int
    sha256: str | None
    heads: Mapping[str, str]
    accuracy: Mapping[str, float]
    accuracy_source: str = _ZOO
    licence: str = "InsightFace's weights: non-commercial research only"
    licence_url: str = "https://github.com/deepinsight/insightface#license"

    @property
    def url(self) -> str:
        """Where the archive is."""
        return f"{_RELEASE}/{self.name}.zip"


_SCRFD_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"
_SCRFD_2_5G = "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9"
_SCRFD_500M = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"
_W600K_R50 = "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
_W600K_MBF = "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"
_POINTS = {
    # Multi-racial pairs, all with all; the threshold is the one at which FP32 vectors reach that rate.
    _W600K_R50: PublishedPoint(
        similarity=0.408, fmr=1e-6, tmr=0.912, source="InsightFace's server/README.md, MR-ALL of ICCV21-MFR"
    )
}
_GLINTR100 = "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"
_OF_R50 = {"LFW": 99.83, "CFP-FP": 99.33, "AgeDB-30": 98.23, "IJB-C(E4)": 97.25, "MR-ALL": 91.25}
_OF_MBF = {"LFW": 99.70, "CFP-FP": 98.00, "AgeDB-30": 96.58, "IJB-C(E4)": 95.02, "MR-ALL": 71.87}

KNOWN_PACKS = (
    KnownPack(
        name="buffalo_l",
        detector="SCRFD-10GF",
        recogniser="ResNet50@WebFace600K",
        dim=512,
        download=288_621_354,
        sha256="80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        heads={"det_10g.onnx": _SCRFD_10G, "w600k_r50.onnx": _W600K_R50},
        accuracy=_OF_R50,
    ),
    KnownPack(
        name="buffalo_m",
        detector="SCRFD-2.5GF",
        recogniser="ResNet50@WebFace600K",
        dim=512,
        download=275_951_529,
        sha256="d98264bd8f2dc75cbc2ddce2a14e636e02bb857b3051c234b737bf3b614edca9",
        heads={"det_2.5g.onnx": _SCRFD_2_5G, "w600k_r50.onnx": _W600K_R50},
        accuracy=_OF_R50,
    ),
    KnownPack(
        name="buffalo_s",
        detector="SCRFD-500MF",
        recogniser="MobileFaceNet@WebFace600K",
        dim=512,
        download=127_607_557,
        sha256="d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
        heads={"det_500m.onnx": _SCRFD_500M, "w600k_mbf.onnx": _W600K_MBF},
        accuracy=_OF_MBF,
    ),
    KnownPack(
        name="buffalo_sc",
        detector="SCRFD-500MF",
        recogniser="MobileFaceNet@WebFace600K",
        dim=512,
        download=14_969_382,
        sha256="57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72",
        heads={"det_500m.onnx": _SCRFD_500M, "w600k_mbf.onnx": _W600K_MBF},
        accuracy=_OF_MBF,
    ),
    KnownPack(
        name="antelopev2",
        detector="SCRFD-10GF",
        recogniser="ResNet100@Glint360K",
        dim=512,
        download=360_662_982,
        sha256="8e182f14fc6e80b3bfa375b33eb6cff7ee05d8ef7633e738d1c89021dcf0c5c5",
        heads={"scrfd_10g_bnkps.onnx": _SCRFD_10G, "glintr100.onnx": _GLINTR100},
        accuracy={"MR-ALL": 90.66},
        accuracy_source=f"{_ZOO} (of R100 trained on Glint360K; the pack itself has no row)",
    ),
    KnownPack(
        name="raccoon_s",
        detector="as its manifest says",
        recogniser="MobileFaceNet@WebFace600K",
        dim=512,
        download=36_600_000,
        sha256=None,
        heads={"": _W600K_MBF},
        accuracy=_OF_MBF,
        accuracy_source=_RACCOON,
    ),
    KnownPack(
        name="raccoon_l",
        detector="as its manifest says",
        recogniser="ResNet50@WebFace600K",
        dim=512,
        download=255_100_000,
        sha256=None,
        heads={"": _W600K_R50},
        accuracy=_OF_R50,
        accuracy_source=_RACCOON,
    ),
)
"""The usual one first."""


def known_pack(name: str) -> KnownPack | None:
    """The published pack of that name, if there is one."""
    return next((pack for pack in KNOWN_PACKS if pack.name == name), None)


def published_point(digests: Iterable[str]) -> PublishedPoint | None:
    """What the maker of a recogniser has published about its similarities; `digests` are a pack's, in any order."""
    return next((_POINTS[digest] for digest in digests if digest in _POINTS), None)


def require_name(name: str) -> str:
    """`name`, when it can name a pack: a plain word that is no path. Raises `UsageError`."""
    if not _NAME.fullmatch(name) or name == "embedded":
        raise UsageError(f"{name!r} cannot name a pack; use letters, digits, . _ and -, and not embedded")
    return name


@dataclass(frozen=True, slots=True)
class AddedPack:
    """A folder that the user has registered under a name, with the SHA-256 of its graphs at that time."""

    folder: Path
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Registry:
    """What the user has registered, and the model that new indexes get; None: facesearch chooses."""

    added: Mapping[str, AddedPack] = field(default_factory=dict)
    default: str | None = None


def registry_path() -> Path | None:
    """Where the registry is kept, whether or not there is one; None without a home."""
    folder = user_data()
    return None if folder is None else folder / "models.json"


def read_registry() -> Registry:
    """What the user has registered; nothing at first. Raises `ModelError` when the file is damaged."""
    path = registry_path()
    if path is None:
        return Registry()
    kept = _read_json(path, "delete it, and register your models again")
    if kept is None:
        return Registry()
    try:
        if kept["version"] > _VERSION:
            raise ModelError(f"{path}: written by a newer facesearch; use that one, or move the file away")
        added = {
            str(name): AddedPack(Path(entry["folder"]), _checked_digests(entry["digests"]))
            for name, entry in kept["models"].items()
        }
        return Registry(added, None if kept["default"] is None else str(kept["default"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: damaged; delete it, and register your models again") from error


def registered_name(folder: Path) -> str | None:
    """The name under which the user has registered a folder, the first of several; None where there is none.

    Whoever has registered nothing that can be read is not kept from using a folder: damage is told by `read_registry`.
    """
    try:
        added = read_registry().added
    except ModelError:
        return None
    place = os.path.realpath(folder)
    return next((name for name in sorted(added) if os.path.realpath(added[name].folder) == place), None)


def change_registry(change: Callable[[Registry], Registry]) -> None:
    """Read, change and write the registry while nobody else does. Raises `ModelError`, `StorageError`."""
    path = registry_path()
    if path is None:
        raise StorageError("there is no home folder to keep this in; set XDG_DATA_HOME to a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            registry = change(read_registry())
            models = {
                name: {"folder": str(pack.folder), "digests": dict(pack.digests)}
                for name, pack in registry.added.items()
            }
            write_json(path, {"version": _VERSION, "default": registry.default, "models": models})
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error


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
    kept = _read_json(path, advice)
    if kept is None:
        return None
    try:
        texts = {key: str(kept[key]) for key in ("name", "source", "sha256", "licence", "installed")}
        return PackRecord(**texts, digests=_checked_digests(kept["files"]))
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


def _read_json(path: Path, advice: str) -> dict[str, Any] | None:
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


def _checked_digests(kept: Mapping[str, Any]) -> dict[str, str]:
    """Names to digests, when none of the names leads out of the folder. Raises `ValueError`."""
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in kept):
        raise ValueError("a path that leads elsewhere")
    return {str(name): str(digest) for name, digest in kept.items()}


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else changes the registry meanwhile. The lock is on the folder: the file itself is replaced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            lock(descriptor, wait=math.inf)
        except OSError:
            pass  # a home on a network folder may know no locks; two people are not registering models there at once
        yield
    finally:
        os.close(descriptor)
