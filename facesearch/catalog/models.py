"""The model of an index, and the model that is to replace it."""

from __future__ import annotations

import json

from facesearch.catalog.columns import Shape
from facesearch.catalog.database import Database
from facesearch.errors import IndexDamagedError
from facesearch.types import ModelInfo

__all__ = ["Models"]

_MODEL = Shape(
    "models.name", "models.source", "models.dim", "models.digests", "models.pipeline", "models.threshold",
    "models.licence",
)  # fmt: skip


class Models:
    """The table `models`: the index's model is the first row; the next model, if there is one, the second."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> ModelInfo:
        """Return the model of the embeddings in this index."""
        return self._all()[0]

    def next(self) -> ModelInfo | None:
        """Return the model that is to replace the current one; None if there is none."""
        _current, *others = self._all()
        return others[0] if others else None

    def set_current(self, model: ModelInfo) -> None:
        """Set the model of a new index."""
        self._add(model)

    def set_next(self, model: ModelInfo) -> None:
        """Record the model that is to replace the current one; nothing is staged for it yet."""
        self._add(model)

    def drop_next(self) -> None:
        """Delete the record of the next model; what it has extracted stays, see `Staging.drop_some`."""
        self._database.run("DELETE FROM models WHERE id > (SELECT min(id) FROM models)")

    def promote_next(self) -> None:
        """Make the next model the current one, and delete the vectors of the earlier one."""
        self._database.run("DELETE FROM vectors")
        self._database.run("DELETE FROM models WHERE id = (SELECT min(id) FROM models)")

    def rename(self, name: str, source: str | None) -> None:
        """Record another name or folder for the current model."""
        self._database.run(
            "UPDATE models SET name = ?, source = ? WHERE id = (SELECT min(id) FROM models)", name, source
        )

    def _add(self, model: ModelInfo) -> None:
        self._database.run(
            "INSERT INTO models (name, source, dim, digests, pipeline, threshold, licence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            model.name, model.source, model.dim, json.dumps(dict(model.digests)), model.revision, model.threshold,
            model.licence,
        )  # fmt: skip

    def _all(self) -> list[ModelInfo]:
        models = [
            ModelInfo(
                name=name,
                source=source,
                dim=dim,
                digests=json.loads(digests),
                revision=revision,
                threshold=threshold,
                licence=licence,
            )
            for name, source, dim, digests, revision, threshold, licence in self._database.typed(
                _MODEL, f"SELECT {_MODEL.sql} FROM models ORDER BY id"
            )
        ]
        if not models:
            raise IndexDamagedError(
                f"{self._database.name}: the catalog is damaged (no model); restore a backup or index again"
            )
        return models
