"""A comparison of two photos, as text and as plain values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from facesearch.calibration.table import NOT_MEASURED
from facesearch.render.records import path_keys, rounded
from facesearch.render.text import lines_of
from facesearch.search.compare import Comparison
from facesearch.search.probes import Probe

__all__ = ["comparison_text", "comparisons_record", "comparisons_table"]


def comparison_text(best: Comparison) -> str:
    """Return one pair of faces as text, one fact per line."""
    facts = [("similarity", f"{best.similarity:.4f}"), ("verdict", str(best.verdict))]
    if best.fmr is None or best.interval is None:
        facts.append(("fmr", NOT_MEASURED))
    else:
        low, high = best.interval
        extrapolated = ", extrapolated" if best.extrapolated else ""
        facts.append(("fmr", f"{best.fmr:.2g} (one stranger in {_about(1 / best.fmr)} is this similar)"))
        facts.append(("interval", f"{low:.1g} to {high:.1g} (5 to 95 %{extrapolated})"))
    return lines_of(facts)


def _about(number: float) -> str:
    """Return a number to two digits: 1.7, 46, 140,000,000."""
    return f"{number:.1f}" if number < 10 else f"{float(f'{number:.2g}'):,.0f}"


def comparisons_table(table: Sequence[Sequence[Comparison]]) -> str:
    """Return the similarities of all pairs: one row per face of the first photo, one column per face of the second."""
    head = ["", *(f"B{pair.other.number}" for pair in table[0])]
    rows = [[f"A{row[0].one.number}", *(f"{pair.similarity:.2f} {pair.verdict}" for pair in row)] for row in table]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in [head, *rows]
    )


def comparisons_record(
    best: Comparison, table: Sequence[Sequence[Comparison]] | None, threshold: float, model: str
) -> dict[str, Any]:
    """Return the best pair as plain values, and all pairs in `pairs` if a table is given."""
    record = {
        "a": path_keys("path", os.fsencode(best.one.path)),
        "b": path_keys("path", os.fsencode(best.other.path)),
        "model": model,
        "threshold": round(threshold, 6),
        "same": best.similarity >= threshold,
        "best": _pair(best),
    }
    if table is not None:
        record["pairs"] = [_pair(pair) for row in table for pair in row]
    return record


def _pair(pair: Comparison) -> dict[str, Any]:
    return {
        "a_face": _face(pair.one),
        "b_face": _face(pair.other),
        "similarity": round(pair.similarity, 6),
        "distance": round(1 - pair.similarity, 6),
        "fmr": None if pair.fmr is None else rounded(pair.fmr),
        "fmr_interval": None if pair.interval is None else [rounded(rate) for rate in pair.interval],
        "extrapolated": pair.extrapolated,
        "expected_false_hits": None if pair.expected_false_hits is None else rounded(pair.expected_false_hits),
        "verdict": str(pair.verdict),
    }


def _face(probe: Probe) -> dict[str, Any]:
    box = probe.face.detection.box
    quality = {} if probe.face.quality is None else {"quality": round(probe.face.quality, 3)}
    return {
        "number": probe.number,
        "box": [round(value, 1) for value in (box.left, box.top, box.width, box.height)],
        **quality,
    }
