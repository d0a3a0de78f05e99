"""What the shell completes: the names of people."""

from __future__ import annotations

from pathlib import Path

import typer

__all__ = ["complete_people"]


def complete_people(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of people in the index of a command line that begin as typed; none if it cannot be read."""
    from facesearch.api.index import Index
    from facesearch.errors import FacesearchError

    path: Path | None = context.params.get("index_path")
    try:
        with Index.open(path) as index:
            return list(index.people.names(incomplete))
    except FacesearchError:
        return []
