"""Find a person in folders of photos, on your own machine.

    from facesearch import Index

    with Index.open("faces", create=True) as index:
        report = index.refresh(["~/Pictures"])

`Index` is an index of photos; `detect`, `compare` and `scan` work without one. The package also exports the types that
they return and every error that they raise. Importing it is cheap: each name is imported on first use.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know it by its name; `typing` is not needed to start
if TYPE_CHECKING:
    from typing import Any

    from facesearch.api.compare import ComparedPhotos, compare
    from facesearch.api.detect import detect
    from facesearch.api.gallery import Gallery
    from facesearch.api.index import Index
    from facesearch.api.keeping import CancelledSwitch, SwitchPreview
    from facesearch.api.scan import ScanResult, scan
    from facesearch.api.status import IndexStatus, SwitchProgress
    from facesearch.care.check import Health
    from facesearch.care.forget import Forgetting
    from facesearch.errors import (
        ConflictError,
        DeviceError,
        DiskFullError,
        FacesearchError,
        GalleryError,
        Hint,
        IndexDamagedError,
        IndexNotFoundError,
        IndexVersionError,
        InputError,
        LockedError,
        ModelError,
        ModelMismatchError,
        ModelSwitchedError,
        NoFaceError,
        PhotoError,
        PhotoTooLargeError,
        StorageError,
        StoreError,
        UsageError,
    )
    from facesearch.events import Observer, Remark, observing
    from facesearch.filters import Filter
    from facesearch.index.vector_file import SearchFacts
    from facesearch.indexing.model_switch import Switch
    from facesearch.indexing.report import Report
    from facesearch.query_options import QueryOptions
    from facesearch.search.compare import Comparison
    from facesearch.search.probes import Probe
    from facesearch.search.result import Answer, Hit, QueryResult
    from facesearch.types import Box, Detection, Face, FaceRecord, ModelInfo, Verdict

__all__ = [
    "Answer",
    "Box",
    "CancelledSwitch",
    "ComparedPhotos",
    "Comparison",
    "ConflictError",
    "Detection",
    "DeviceError",
    "DiskFullError",
    "Face",
    "FaceRecord",
    "FacesearchError",
    "Filter",
    "Forgetting",
    "Gallery",
    "GalleryError",
    "Health",
    "Hint",
    "Hit",
    "Index",
    "IndexDamagedError",
    "IndexNotFoundError",
    "IndexStatus",
    "IndexVersionError",
    "InputError",
    "LockedError",
    "ModelError",
    "ModelInfo",
    "ModelMismatchError",
    "ModelSwitchedError",
    "NoFaceError",
    "Observer",
    "PhotoError",
    "PhotoTooLargeError",
    "Probe",
    "QueryOptions",
    "QueryResult",
    "Remark",
    "Report",
    "ScanResult",
    "SearchFacts",
    "StorageError",
    "StoreError",
    "Switch",
    "SwitchPreview",
    "SwitchProgress",
    "UsageError",
    "Verdict",
    "__version__",
    "compare",
    "detect",
    "observing",
    "scan",
]

__version__ = "0.1.0"

_HOMES = {
    "api.compare": ("ComparedPhotos", "compare"),
    "api.detect": ("detect",),
    "api.gallery": ("Gallery",),
    "api.index": ("Index",),
    "api.keeping": ("CancelledSwitch", "SwitchPreview"),
    "api.scan": ("ScanResult", "scan"),
    "api.status": ("IndexStatus", "SwitchProgress"),
    "care.check": ("Health",),
    "care.forget": ("Forgetting",),
    "events": ("Observer", "Remark", "observing"),
    "filters": ("Filter",),
    "index.vector_file": ("SearchFacts",),
    "indexing.model_switch": ("Switch",),
    "indexing.report": ("Report",),
    "query_options": ("QueryOptions",),
    "search.compare": ("Comparison",),
    "search.probes": ("Probe",),
    "search.result": ("Answer", "Hit", "QueryResult"),
    "types": ("Box", "Detection", "Face", "FaceRecord", "ModelInfo", "Verdict"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
