"""Which model's embeddings are here, and what the one that is to take over has seen so far.

Two models live side by side while one replaces the other: questions are answered from the first, and what the second
sees is kept apart, by the content of photos. So a photo may be moved, renamed or copied meanwhile, an edited one is
looked at again, and what is forgotten is forgotten here as well. Then the second takes over in one transaction.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

from facesearch.catalog.columns import Shape, detection_of, row_of
from facesearch.catalog.database import Database
from facesearch.errors import Hint, IndexDamagedError
from facesearch.types import Box, Face, ModelInfo

__all__ = ["SAME_FACE", "Succession", "UnseenPhoto"]

SAME_FACE = 0.4
"""How much the boxes of two models overlap at least, as intersection over union, where they found the same face.

Of 93 faces that YuNet and SCRFD both found in 71 photos the boxes overlapped by 0.58 (a face cut by the border) to
0.96, half of them by 0.90 or more. Two faces of one model never overlap by more than 0.4.
"""

_DROPPED_AT_ONCE = 2_000

_MODEL = Shape("models.name models.source models.dim models.digests models.pipeline models.threshold models.licence")
_UNSEEN = Shape("roots.id roots.path photos.path photos.size photos.hash")
_CORNERS = "seen_faces.x seen_faces.y seen_faces.width seen_faces.height"
_SEEN_PLACE = Shape(f"seen_faces.id {_CORNERS}")
_SEEN_FACE = Shape(f"{_CORNERS} seen_faces.landmarks seen_faces.score seen_faces.quality seen_faces.vector")


class UnseenPhoto(NamedTuple):
    """A photo that the next model has not looked at: its absolute path, its size in bytes, its content's SHA-256."""

    root: int
    path: bytes
    size: int
    content: bytes


class Succession(Database):
    """The models of a catalog, and the looks of the one that is to come. Use from one thread."""

    def model(self) -> ModelInfo:
        """The model whose embeddings are here."""
        return self._models()[0]

    def successor(self) -> ModelInfo | None:
        """The model that is to take over; None when none is."""
        _model, *others = self._models()
        return others[0] if others else None

    def rename_model(self, name: str, source: str | None) -> None:
        """The same model, now by another name or in another folder."""
        self._run("UPDATE models SET name = ?, source = ? WHERE id = (SELECT min(id) FROM models)", name, source)

    def appoint(self, model: ModelInfo) -> None:
        """This model is to take over; it has not seen anything yet."""
        self._add_model(model)

    def dismiss(self) -> None:
        """No model is to take over; see `drop_looks`."""
        self._run("DELETE FROM models WHERE id > (SELECT min(id) FROM models)")

    def drop_looks(self) -> bool:
        """Forget a part of what the next model has seen, overwritten on the disk; False when nothing was left."""
        dropped = self._rows(
            "DELETE FROM looks WHERE content IN (SELECT content FROM looks LIMIT ?) RETURNING 1", _DROPPED_AT_ONCE
        )
        return bool(dropped)

    def has_looks(self) -> bool:
        """Whether anything that a model has seen is kept apart."""
        return bool(self._rows("SELECT 1 FROM looks LIMIT 1"))

    def unseen_photos(self) -> list[UnseenPhoto]:
        """Photos in sight that the next model has not looked at, by root and path; several may have one content."""
        rows = self._typed(
            _UNSEEN,
            "SELECT roots.id, roots.path, photos.path, size, hash FROM photos JOIN roots ON roots.id = root"
            " WHERE missing_since IS NULL AND hash IS NOT NULL AND status IN ('faces', 'no_face')"
            " AND hash NOT IN (SELECT content FROM looks) ORDER BY roots.id, photos.path",
        )
        return [
            UnseenPhoto(root, os.path.join(folder, path) if path else folder, size, bytes(content))
            for root, folder, path, size, content in rows
        ]

    def count_contents(self) -> int:
        """How many different contents there are to look at."""
        return int(
            self._value(
                "SELECT count(DISTINCT hash) FROM photos WHERE missing_since IS NULL AND status IN ('faces', 'no_face')"
            )
        )

    def count_looks(self) -> int:
        """How many different contents the next model has seen."""
        return int(self._value("SELECT count(*) FROM looks"))

    def put_look(self, content: bytes, faces: Sequence[Face], fingerprint: int | None) -> None:
        """What the next model sees in a content. Nothing is kept of one that has been forgotten meanwhile."""
        if not self._rows("SELECT 1 FROM photos WHERE hash = ? AND status != 'unwanted' LIMIT 1", content):
            return
        self._run("DELETE FROM looks WHERE content = ?", content)
        self._run("INSERT INTO looks (content, fingerprint) VALUES (?, ?)", content, fingerprint)
        self._many(
            "INSERT INTO seen_faces (content, x, y, width, height, landmarks, score, quality, vector)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(content, *row_of(face), face.embedding.astype("<f4").tobytes()) for face in faces],
        )

    def forget_seen(self, content: bytes, box: Box) -> None:
        """A face was forgotten: what the next model has seen at its place is forgotten, too."""
        for row_id, *place in self._typed(
            _SEEN_PLACE, "SELECT id, x, y, width, height FROM seen_faces WHERE content = ?", content
        ):
            if Box(*place).overlap(box) >= SAME_FACE:
                self._run("DELETE FROM seen_faces WHERE id = ?", row_id)

    def install_successor(self) -> None:
        """The next model's embeddings are those of the index from now on: the first one's vectors are gone."""
        self._run("DELETE FROM vectors")
        self._run("DELETE FROM models WHERE id = (SELECT min(id) FROM models)")

    def seen_by_successor(self) -> list[tuple[int, bytes]]:
        """Photos, in sight or not, whose content was looked at: their ids, with the content."""
        return self._rows(
            "SELECT id, hash FROM photos WHERE status IN ('faces', 'no_face') AND hash IN (SELECT content FROM looks)"
            " ORDER BY id"
        )

    def look_of(self, content: bytes, dim: int) -> tuple[list[Face], int | None]:
        """The faces that were seen in a content, best first, by a model of so many numbers; and its fingerprint."""
        import numpy as np

        faces = [
            Face(
                detection_of(*row[:6]), np.frombuffer(self._whole(row[7], dim), dtype="<f4").astype(np.float32), row[6]
            )
            for row in self._typed(
                _SEEN_FACE,
                "SELECT x, y, width, height, landmarks, score, quality, vector FROM seen_faces WHERE content = ?"
                " ORDER BY id",
                content,
            )
        ]
        return faces, self._value("SELECT fingerprint FROM looks WHERE content = ?", content)

    def bad_looks(self) -> list[bytes]:
        """Contents in which the next model has seen a face whose vector cannot be one of its own."""
        model = self.successor()
        if model is None:
            return []
        seen = self.each("SELECT content, vector FROM seen_faces")
        return list({content for content, vector in seen if not _is_unit_vector(vector, model.dim)})

    def look_again(self, contents: Sequence[bytes]) -> None:
        """Forget what the next model has seen in these contents; it looks at them once more."""
        self._many("DELETE FROM looks WHERE content = ?", ((content,) for content in contents))

    def mark_seen(self, photo: int, *, faces: bool, fingerprint: int | None) -> None:
        """The index's model has looked at a photo."""
        self._run(
            "UPDATE photos SET status = ?, fingerprint = coalesce(?, fingerprint), outdated = 0 WHERE id = ?",
            "faces" if faces else "no_face", fingerprint, photo,
        )  # fmt: skip

    def mark_unseen(self) -> None:
        """All other photos that have faces, or may have, are outdated."""
        self._run(
            "UPDATE photos SET outdated = 1 WHERE (hash IS NULL OR hash NOT IN (SELECT content FROM looks))"
            " AND (status IN ('faces', 'no_face')"
            " OR (status = 'failed' AND EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)))"
        )

    def _whole(self, vector: bytes, dim: int) -> bytes:
        if len(vector) != dim * 4:
            raise IndexDamagedError(
                f"{self._name}: the catalog is damaged (a vector of {len(vector)} bytes cannot be)", Hint.REPAIR
            )
        return vector

    def count_outdated(self) -> int:
        """Photos whose faces are an earlier model's, and are not found until the photos are looked at."""
        return int(self._value("SELECT count(*) FROM photos WHERE outdated"))

    def _add_model(self, model: ModelInfo) -> None:
        self._run(
            "INSERT INTO models (name, source, dim, digests, pipeline, threshold, licence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            model.name, model.source, model.dim, json.dumps(dict(model.digests)), model.pipeline, model.threshold,
            model.licence,
        )  # fmt: skip

    def _models(self) -> list[ModelInfo]:
        """The index's model, and the one that is to take over."""
        models = [
            ModelInfo(name, dim, json.loads(digests), pipeline, threshold, licence, source)
            for name, source, dim, digests, pipeline, threshold, licence in self._typed(
                _MODEL, "SELECT name, source, dim, digests, pipeline, threshold, licence FROM models ORDER BY id"
            )
        ]
        if not models:
            raise IndexDamagedError(f"{self._name}: the catalog is damaged (no model); restore a backup or index again")
        return models


def _is_unit_vector(vector: bytes, dim: int) -> bool:
    import numpy as np

    return len(vector) == dim * 4 and abs(float(np.linalg.norm(np.frombuffer(vector, dtype="<f4"))) - 1) <= 1e-3
