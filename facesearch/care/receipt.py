"""The receipt of a person who was forgotten: what was removed, what stays on purpose, and what is out of reach."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from facesearch.people.saying import current_user
from facesearch.visible import shown_path

if TYPE_CHECKING:
    from facesearch.care.forget import Forgetting
    from facesearch.care.forget_person import Forgotten
    from facesearch.index.store import Store
    from facesearch.people.sweeping import SweptFace
    from facesearch.types import FaceRecord

__all__ = ["receipt_of"]

_OUT_OF_REACH = (
    "the photos themselves, and copies of them",
    "backups of this index, and backups of the disk",
    "other indexes of the same photos, and galleries that are no longer connected",
    "exports, answers, contact sheets, gallery pages, crops and reports written earlier",
    "sidecar files, and names that other programs have written into photos",
    "snapshots of the file system, and blocks that a disk keeps after a file was replaced",
)


def receipt_of(store: Store, forgetting: Forgetting, done: Forgotten, owed: Sequence[str]) -> Mapping[str, Any]:
    """Return the receipt as plain values. It has names and paths, and no embeddings."""
    found = forgetting.sweep
    assert found is not None
    galleries = [known.name for known in store.catalog.changes.galleries()]
    own = sum(one.own for one in forgetting.going)
    return {
        "receipt": "person forgotten",
        "version": 1,
        "index": shown_path(str(store.path)),
        "when": _moment(done.when),
        "by": current_user(),
        "person": {"number": found.person, "names": list(found.names)},
        "removed": {
            "faces": done.faces,
            "embeddings": done.vectors,
            "statements": done.statements,
            "faces_of_the_person": own,
            "similar_faces": len(forgetting.going) - own,
            "list": [_face(one) for one in forgetting.going],
        },
        "stays": {
            "marks_of_removed_faces": done.marks,
            "template": None
            if done.template is None or forgetting.until is None
            else {"number": done.template, "until": _moment(forgetting.until)},
            "spared_faces": [_face(one) for one in forgetting.spared],
            "similar_faces_of_somebody_else": len(found.fit_others) + len(found.said_otherwise),
        },
        "searched_again": {
            "similar_from": None if found.least is None else round(found.least, 4),
            "similar_faces_left": done.similar,
            "undecided_faces_left": [_place(face) for face in done.left],
            "nearest_left": None if done.nearest is None else round(done.nearest, 4),
        },
        "may_come_back": [_place(face) for face in done.unmarked],
        "galleries": {"reached": [name for name in galleries if name not in owed], "not_reached": list(owed)},
        "out_of_reach": list(_OUT_OF_REACH),
    }


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _face(one: SweptFace) -> dict[str, Any]:
    similarity = None if one.similarity is None else round(one.similarity, 4)
    return {**_place(one.face), "own": one.own, "similarity": similarity}


def _place(face: FaceRecord) -> dict[str, Any]:
    box = face.detection.box
    place = [round(number, 1) for number in (box.left, box.top, box.width, box.height)]
    return {"face_id": face.face_id, "path": shown_path(os.fsdecode(face.path)), "box": place}
