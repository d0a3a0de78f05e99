"""Which statements of two logs are the same: those with the same time, author, kind, people and value.

Several such statements within one second are told apart by their order. Origins and ids differ between logs. What is
undone together in one log is undone one by one in another, so an undoing counts once for each statement that it undoes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from facesearch.people.statements import Kind

if TYPE_CHECKING:
    from facesearch.people.exchange.document import ToldRow

__all__ = ["Digest", "digests_of"]


class Digest(NamedTuple):
    """What stands for a statement in every log; `undone` is that of the statement that it undoes, if it does."""

    own: bytes
    undone: bytes | None


def _targets_of(log: Sequence[ToldRow]) -> dict[int, list[int]]:
    """Return for each undoing the statements that it undoes: all of an action, except the mark of an import."""
    batches: dict[int, list[int]] = {}
    for told in log:
        batches.setdefault(told.batch or told.id, []).append(told.id)
    marks = {told.id for told in log if told.kind == Kind.imported}
    return {
        told.id: [
            one for one in batches.get(told.undoes, [told.undoes]) if one not in marks and one < told.id
        ]
        for told in log
        if told.kind == Kind.undo and told.undoes is not None
    }  # fmt: skip


def digests_of(log: Sequence[ToldRow]) -> dict[int, list[Digest]]:
    """Return what stands for each statement in every log: one digest, or for an undoing one for each undone."""
    targets, seen = _targets_of(log), Counter[str]()
    found: dict[int, list[Digest]] = {}
    for told in log:
        undone = [one.own for target in targets.get(told.id, ()) for one in found.get(target, ())]
        found[told.id] = [_digest(told, seen, target) for target in (undone if told.kind == Kind.undo else [None])]
    return found


def _digest(told: ToldRow, seen: Counter[str], target: bytes | None) -> Digest:
    about = None
    if told.person is None and told.faces:  # a statement about faces alone
        place = told.faces[0]
        about = [None if place.content is None else place.content.hex(), round(place.box.left), round(place.box.top)]
    undone = None if target is None else target.hex()
    key = json.dumps([told.said_at, told.author, told.kind, told.person, told.other, told.value, about, undone])
    seen[key] += 1
    return Digest(hashlib.sha256(f"{key} {seen[key]}".encode()).digest(), target)
