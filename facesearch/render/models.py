"""The list of models, as a table for people and as plain values for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from facesearch.models.resolve import ListedModel
from facesearch.render.records import shown_path
from facesearch.render.text import table

__all__ = ["models_record", "models_table"]

_SHOWN_ACCURACY = ("LFW", "IJB-C(E4)", "MR-ALL")
_HEAD = ("model", "", "dim", "download", *_SHOWN_ACCURACY, "note", "state", "licence", "where")
_LEFT_ALIGNED = ("model", "", "state", "licence", "where")
_EMBEDDED_ACCURACY = {"LFW": 99.42}
_EMBEDDED_SOURCE = "https://github.com/opencv/opencv_zoo/tree/main/models/face_recognition_sface"


def models_table(models: Sequence[ListedModel], default: str | None, *, show: Callable[[str], str] = str) -> str:
    """Return one line per model, then numbered notes on the sources of the accuracy figures."""
    sources = [source for source in dict.fromkeys(map(_source, models)) if source is not None]
    marks = {source: f"[{number}]" for number, source in enumerate(sources, start=1)}
    rows = [
        (
            show(model.name),
            "default" if model.name == default else "",
            "" if model.dim is None else str(model.dim),
            "" if model.known is None else f"{model.known.download / 1e6:.0f} MB",
            *(f"{_accuracy(model)[test]:.2f}" if test in _accuracy(model) else "" for test in _SHOWN_ACCURACY),
            marks.get(_source(model) or "", ""),
            model.state,
            show(model.licence),
            "" if model.folder is None else show(str(model.folder)),
        )
        for model in models
    ]
    notes = "".join(f"{mark} accuracy in per cent, from {source}\n" for source, mark in marks.items())
    return f"{table(_HEAD, rows, _LEFT_ALIGNED)}\n{notes}"


def models_record(models: Sequence[ListedModel], default: str | None, folder: str) -> dict[str, Any]:
    """Return the list as plain values; sizes are in bytes, accuracy in per cent. Packs are installed in `folder`."""
    return {
        "default": default,
        "folder": shown_path(folder),
        "models": [
            {
                "name": model.name,
                "state": model.state,
                "installed": model.usable,
                "default": model.name == default,
                "dim": model.dim,
                "licence": model.licence,
                "licence_url": model.known.licence_url if model.known else None,
                "path": None if model.folder is None else shown_path(str(model.folder)),
                "pulled": model.pulled,
                "detector": model.known.detector if model.known else None,
                "recogniser": model.known.recogniser if model.known else None,
                "download_bytes": model.known.download if model.known else None,
                "url": model.known.url if model.known else None,
                "sha256": model.known.sha256 if model.known else None,
                "accuracy": dict(_accuracy(model)),
                "accuracy_source": _source(model),
            }
            for model in models
        ],
    }


def _accuracy(model: ListedModel) -> dict[str, float]:
    if model.known is not None:
        return dict(model.known.accuracy)
    return _EMBEDDED_ACCURACY if model.state == "in the package" else {}


def _source(model: ListedModel) -> str | None:
    if model.known is not None:
        return model.known.accuracy_source
    return _EMBEDDED_SOURCE if model.state == "in the package" else None
