"""The records of answers: those of the command line, with similarities that cannot tell what a face's embedding is.

From many exact similarities an embedding can be computed, and from that a face. So three digits leave the server, and
what follows from a similarity, such as a rate, is as coarse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facesearch.render.answers import person_line
from facesearch.render.records import result_record
from facesearch.visible import visible

if TYPE_CHECKING:
    from facesearch.api.results import QueryResult

__all__ = ["answer_record", "coarse"]

_THREE_DIGITS = frozenset({"similarity", "distance", "similarity_to_person", "threshold"})
_ONE_DIGIT = frozenset({"fmr", "expected_false_hits", "fmr_interval", "chance", "excess"})


def answer_record(result: QueryResult, remarks: Sequence[str] = ()) -> dict[str, Any]:
    """Return the answer to a query as the command line does, with a summary of each and remarks in words."""
    record = result_record(result)
    record["remarks"] = [visible(str(remark)) for remark in (*remarks, *result.remarks)]
    for answer, found in zip(record["queries"], result.answers, strict=True):
        answer["summary"] = person_line(found, result.threshold) if found.people else ""
    answered: dict[str, Any] = coarse(record)
    return answered


def coarse(record: Any, key: str = "") -> Any:
    """Return a record with similarities to three digits, and with rates to one significant digit."""
    if isinstance(record, dict):
        return {name: coarse(value, name) for name, value in record.items()}
    if isinstance(record, list | tuple):
        return [coarse(value, key) for value in record]
    if isinstance(record, float) and key in _THREE_DIGITS:
        return round(record, 3)
    if isinstance(record, float) and key in _ONE_DIGIT:
        return float(f"{record:.0e}")
    return record
