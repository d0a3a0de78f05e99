"""A comparison of models on labelled photos, as a table and as plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from facesearch.evaluation.compare_models import RATES, Standing
from facesearch.render.text import table

__all__ = ["standings_record", "standings_table"]

_HEAD = (
    "model",
    "faces",
    "rank-1",
    *(f"TMR at FMR {rate:.0e}".replace("e-0", "e-") for rate in RATES),
    "ms per photo",
    "licence",
)


def standings_table(standings: Sequence[Standing], *, show: Callable[[str], str] = str) -> str:
    """Return one line per model, the most accurate first."""
    rows = [
        (
            show(one.model), f"{one.found:,} of {one.photos:,}", f"{one.rank1:.1%}",
            *("too few" if share is None else f"{share:.1%}" for share in one.tmr), f"{one.seconds * 1000:,.0f}",
            show(one.licence),
        )
        for one in _ranked(standings)
    ]  # fmt: skip
    return table(_HEAD, rows, ("model", "licence"))


def standings_record(standings: Sequence[Standing]) -> dict[str, Any]:
    """Return the comparison as plain values; shares that could not be measured are null."""
    return {
        "models": [
            {
                "model": one.model,
                "licence": one.licence,
                "photos": one.photos,
                "found": one.found,
                "left_out": one.left_out,
                "rank1": round(one.rank1, 4),
                "tmr": {
                    f"{rate:g}": None if share is None else round(share, 4)
                    for rate, share in zip(RATES, one.tmr, strict=True)
                },
                "seconds_a_photo": round(one.seconds, 5),
            }
            for one in _ranked(standings)
        ]
    }


def _ranked(standings: Sequence[Standing]) -> list[Standing]:
    """Sort by the TMR at the lowest FMR at which all models could be measured, then by rank-1, then by time."""
    rates = zip(*(one.tmr for one in standings), strict=True)
    told = [number for number, shares in enumerate(rates) if None not in shares]

    def order(one: Standing) -> tuple[float, float, float]:
        return -((one.tmr[told[-1]] if told else None) or 0.0), -one.rank1, one.seconds

    return sorted(standings, key=order)
