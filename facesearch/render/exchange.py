"""What an export or an import of people did, in one line and as data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Exported, FolderExport, Imported

__all__ = ["exported_line", "folders_line", "import_line", "import_record"]


def exported_line(done: Exported) -> str:
    """Return what was written to a file."""
    people = counted(done.people, "person", "people")
    statements = f"{counted(done.statements, 'statement')} about " if done.statements else ""
    return f"{statements}{people} with {counted(done.faces, 'face')}"


def folders_line(done: FolderExport) -> str:
    """Return what was done in the folders of people."""
    parts = [f"{counted(done.people, 'person', 'people')}: {counted(done.made, 'photo')} added"]
    parts += [f"{done.kept:,} already there"] if done.kept else []
    parts += [f"{done.removed:,} removed"] if done.removed else []
    parts += [f"{done.left:,} left because changed since"] if done.left else []
    return ", ".join(parts)


def import_line(done: Imported) -> str:
    """Return what an import said."""
    if done.action is None:
        said = "nothing new"
    else:
        said = f"{counted(done.statements, 'statement')} about {counted(done.people, 'person', 'people')}"
        said += f" and {counted(done.faces, 'face')}"
    parts = [said]
    parts += [f"{done.known:,} known already"] if done.known else []
    parts += [f"{counted(done.missing, 'face')} not in this index yet"] if done.missing else []
    parts += [f"{done.contradicted:,} left as you said before"] if done.contradicted else []
    parts += [f"{counted(done.doubtful, 'photo')} left out in doubt"] if done.doubtful else []
    parts += [f"{done.refused:,} left out as not valid"] if done.refused else []
    return ", ".join(parts)


def import_record(done: Imported) -> dict[str, Any]:
    """Return what an import said as plain values."""
    return {**asdict(done), "remarks": list(done.remarks)}
