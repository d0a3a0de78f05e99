"""A calibration as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facesearch.render.text import table
from facesearch.wording import counted

__all__ = ["render_calibration"]

_RATES = (-2, -3, -4, -5, -6)
_HEAD = ("photos", "fmr", "similarity", "found", "worst person", "")


def render_calibration(measured: Mapping[str, Any]) -> str:
    """Return a table with the similarity and the share of a person's photos found, per template size and FMR."""
    rows = []
    for curve in measured["curves"]:
        logs = curve["log10_fmr"]
        for rate in _RATES:
            at = next((number for number, value in enumerate(logs) if value <= rate), None)
            if at is not None:
                rows.append(
                    (
                        str(curve["photos"]), f"1e{rate}", f"{measured['similarity'][at]:.2f}",
                        f"{curve['tmr'][at]:.1%}", f"{curve['tmr_worst_person'][at]:.1%}",
                        "extrapolated" if rate < curve["measured_to"] else "",
                    )
                )  # fmt: skip
    people = counted(measured["people"], "person", "people")
    line = f"{counted(measured['faces'], 'face')} of {people}, {measured['left_out']:,} skipped"
    return f"{line}\n{table(_HEAD, rows, left_aligned=('',))}"
