"""What the next model has extracted so far, kept apart from the faces that queries find.

While one model replaces another, queries are answered from the current one. The faces that the next one finds are
staged here by the content of photos. So a photo may be moved, renamed or copied meanwhile, an edited one is read again,
and what is forgotten is forgotten here as well. At the end the staged faces are promoted; see `promotion`.
"""

from __future__ import annotations

from collections.abc import Sequence

from facesearch.catalog.columns import FACE, Shape, box_columns, damaged, face_columns
from facesearch.catalog.database import Database
from facesearch.catalog.encoding import decode_face, decode_vector, encode_face, encode_vector
from facesearch.catalog.records import PendingPhoto, path_in_root
from facesearch.catalog.vectors import of_unit_length
from facesearch.types import SAME_FACE, Box, Face

__all__ = ["Staging"]

_DROPPED_AT_ONCE = 2_000

_PENDING = Shape("roots.id", "roots.path", "photos.path", "photos.size", "photos.hash")
_PLACE = Shape("seen_faces.id", *box_columns("seen_faces"))
_FACE = Shape("seen_faces.vector", *face_columns("seen_faces"))
_INSERTED = ("content", "vector", *FACE)


class Staging:
    """The tables `looks`, with one row per content, and `seen_faces`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, content: bytes, faces: Sequence[Face], fingerprint: int | None) -> None:
        """Stage what the next model found in a content. Content that has been forgotten meanwhile is ignored."""
        database = self._database
        if not database.rows("SELECT 1 FROM photos WHERE hash = ? AND status != 'unwanted' LIMIT 1", content):
            return
        database.run("DELETE FROM looks WHERE content = ?", content)
        database.run("INSERT INTO looks (content, fingerprint) VALUES (?, ?)", content, fingerprint)
        database.many(
            f"INSERT INTO seen_faces ({', '.join(_INSERTED)}) VALUES ({', '.join('?' * len(_INSERTED))})",
            [(content, encode_vector(face.embedding), *encode_face(face)) for face in faces],
        )

    def faces_of(self, content: bytes, dim: int) -> tuple[list[Face], int | None]:
        """Return the faces in a content, best first, with embeddings float32[dim], and its fingerprint.

        Raises `IndexDamagedError` for an embedding of another length.
        """
        faces = []
        for vector, *values in self._database.typed(
            _FACE, f"SELECT {_FACE.sql} FROM seen_faces WHERE content = ? ORDER BY id", content
        ):
            if len(vector) != dim * 4:
                raise damaged(self._database.name, f"invalid vector of {len(vector)} bytes")
            faces.append(decode_face(values, decode_vector(vector)))
        return faces, self._database.value("SELECT fingerprint FROM looks WHERE content = ?", content)

    def drop_without(self, content: bytes, boxes: Sequence[Box]) -> None:
        """Delete what is staged for a content if a face in one of these places is missing there."""
        found = self._database.typed(_PLACE, f"SELECT {_PLACE.sql} FROM seen_faces WHERE content = ?", content)
        staged = [Box(*place) for _, *place in found]
        if any(all(box.overlap(other) < SAME_FACE for other in staged) for box in boxes):
            self.drop([content])

    def pending(self) -> list[PendingPhoto]:
        """Return visible photos that the next model has not processed, by root and path; contents may repeat."""
        rows = self._database.typed(
            _PENDING,
            f"SELECT {_PENDING.sql} FROM photos JOIN roots ON roots.id = root"
            " WHERE missing_since IS NULL AND hash IS NOT NULL AND status IN ('faces', 'no_face')"
            " AND hash NOT IN (SELECT content FROM looks) ORDER BY roots.id, photos.path",
        )
        return [
            PendingPhoto(root, path_in_root(folder, path), size, bytes(content))
            for root, folder, path, size, content in rows
        ]

    def photos(self) -> list[tuple[int, bytes]]:
        """Return the ids and contents of photos, hidden or not, whose content the next model has processed."""
        return self._database.rows(
            "SELECT id, hash FROM photos WHERE status IN ('faces', 'no_face') AND hash IN (SELECT content FROM looks)"
            " ORDER BY id"
        )

    def count(self) -> int:
        """Count the different contents that the next model has processed."""
        return int(self._database.value("SELECT count(*) FROM looks"))

    def count_contents(self) -> int:
        """Count the different contents of visible photos, which the next model has to process."""
        return int(
            self._database.value(
                "SELECT count(DISTINCT hash) FROM photos WHERE missing_since IS NULL AND status IN ('faces', 'no_face')"
            )
        )

    def has_any(self) -> bool:
        """Whether anything is staged."""
        return bool(self._database.rows("SELECT 1 FROM looks LIMIT 1"))

    def drop(self, contents: Sequence[bytes]) -> None:
        """Delete what is staged for these contents; the next model processes them again."""
        self._database.many("DELETE FROM looks WHERE content = ?", ((content,) for content in contents))

    def drop_some(self) -> bool:
        """Delete a part of what is staged, overwriting it on the disk; return False if nothing was left."""
        dropped = self._database.rows(
            "DELETE FROM looks WHERE content IN (SELECT content FROM looks LIMIT ?) RETURNING 1", _DROPPED_AT_ONCE
        )
        return bool(dropped)

    def drop_face(self, content: bytes, box: Box) -> None:
        """Delete what the next model found in the place of a forgotten face."""
        for row_id, *place in self._database.typed(
            _PLACE, f"SELECT {_PLACE.sql} FROM seen_faces WHERE content = ?", content
        ):
            if Box(*place).overlap(box) >= SAME_FACE:
                self._database.run("DELETE FROM seen_faces WHERE id = ?", row_id)

    def unusable(self, dim: int) -> list[bytes]:
        """Return the contents with a staged embedding that is not float32[dim] of unit length."""
        staged = self._database.each("SELECT content, vector FROM seen_faces")
        return list(
            {
                content
                for content, vector in staged
                if len(vector) != dim * 4 or not of_unit_length(decode_vector(vector)[None]).all()
            }
        )
