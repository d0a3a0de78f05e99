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
            people = index.people.list(ignored=True)
    except FacesearchError:
        return []
    typed = incomplete.casefold()
    names = [name for one in people for name in (one.name, *one.aliases) if name is not None]
    return [name for name in names if name.casefold().startswith(typed)]
