"""Shared galleries, and what a push did, as text and as data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from facesearch.render.text import table
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import ConnectedGallery, Difference, GalleryStatus, Pushed, Recall, StoredProbe

__all__ = [
    "difference_line",
    "gallery_line",
    "gallery_record",
    "probe_example",
    "probe_line",
    "pushed_line",
    "render_gallery",
    "search_line",
    "switch_line",
]

_HEAD = ("index", "photos", "faces", "people", "pushed", "from")


def render_gallery(name: str, status: GalleryStatus | None, connected: ConnectedGallery | None) -> str:
    """Return a gallery and a table of the indexes in it; None stands for one that cannot be reached."""
    address = status.address if status is not None else connected.address if connected is not None else ""
    lines = [f"{name}: {address}\n"]
    lines.append(f"  {gallery_line(status)}\n" if status is not None else "  cannot be reached now\n")
    if status is not None:
        lines.append(f"  {search_line(status.method, status.recall)}\n")
    if status is not None and status.next_model is not None:
        lines.append(f"  {switch_line(status)}\n")
    if connected is not None:
        after = "after each run of facesearch index" if connected.after_runs else "with facesearch gallery push"
        left = counted(connected.pending, "face")
        lines.append(f"  this index is {connected.known_as} there, pushed {after}; {left} to push\n")
    rows = [
        (
            index.name, f"{index.photos:,}", f"{index.faces:,}", "" if index.people is None else f"{index.people:,}",
            _moment(index.pushed_at) or "", index.place,
        )
        for index in (status.indexes if status is not None else ())
    ]  # fmt: skip
    shown = table(_HEAD, rows, ("index", "pushed", "from")) if rows else ""
    return "".join(lines) + "".join(f"  {line}\n" for line in shown.splitlines())


def gallery_line(status: GalleryStatus) -> str:
    """Return what a gallery holds in one line."""
    parts = [counted(len(status.indexes), "index", "indexes"), counted(status.photos, "photo")]
    parts += [counted(status.faces, "face"), f"model {status.model.name}"]
    return ", ".join(parts)


def switch_line(status: GalleryStatus) -> str:
    """Return what a gallery will be switched to, and what is missing for that, in one line."""
    name = "" if status.next_model is None else status.next_model.beside(status.model)
    left = ", ".join(status.left_behind)
    missing = f"; not pushed yet with that model: {left}" if left else "; all indexes were pushed with that model"
    return f"a gallery for {name} is filled beside it{missing}"


def search_line(method: str, recall: Recall | None) -> str:
    """Return how a gallery searches, and how much that finds, in one line."""
    if method == "exact":
        return "searches compare every face"
    if recall is None:
        return f"searches use {method}; how much they find was not measured"
    return (
        f"searches use {method} and found {recall.share:.1%} of the nearest among {counted(recall.faces, 'face')},"
        f" measured {_moment(recall.measured_at)}"
    )


def gallery_record(name: str, status: GalleryStatus | None, connected: ConnectedGallery | None) -> dict[str, Any]:
    """Return a gallery as plain values; without what is in it if it cannot be reached."""
    own = None if connected is None else {
        "name": connected.known_as, "to_push": connected.pending, "push_after_index": connected.after_runs,
    }  # fmt: skip
    if status is None:
        return {"name": name, "reached": False, "this_index": own}
    return {
        "name": name,
        "reached": True,
        "address": status.address,
        "model": status.model.name,
        "next_model": None if status.next_model is None else status.next_model.name,
        "left_behind": list(status.left_behind),
        "photos": status.photos,
        "faces": status.faces,
        "people": status.people,
        "search": status.method,
        "recall": None if status.recall is None else {
            "share": status.recall.share, "faces": status.recall.faces, "measured": _moment(status.recall.measured_at),
        },
        "indexes": [
            {
                "name": index.name, "photos": index.photos, "faces": index.faces, "people": index.people,
                "tenant": index.tenant, "pushed": _moment(index.pushed_at), "from": index.place,
            }
            for index in status.indexes
        ],
        "this_index": own,
    }  # fmt: skip


def pushed_line(done: Pushed) -> str:
    """Return what a push did in one line."""
    compared = "; everything was compared" if done.compared else ""
    return f"pushed {counted(done.faces, 'face')}; {done.changed:,} changed in the gallery{compared}"


def probe_line(stored: StoredProbe) -> str:
    """Return what was stored for SQL in one line."""
    which = "" if stored.faces == 1 else f" the largest of {counted(stored.faces, 'face')},"
    return f"stored {stored.name},{which} until {_moment(stored.expires_at)}"


def probe_example(stored: StoredProbe) -> str:
    """Return a SELECT that asks for a stored probe."""
    return (
        "SELECT index, path, 1 - (embedding <=> (SELECT embedding FROM facesearch.probe"
        f" WHERE name = '{stored.name}')) AS s\nFROM facesearch.photos_faces ORDER BY s DESC LIMIT 20;\n"
    )


def difference_line(found: Difference) -> str:
    """Return how an index differs from its share of a gallery in one line."""
    parts = [
        f"{len(faces):,} {what}"
        for faces, what in (
            (found.missing, "missing"), (found.different, "different"), (found.extra, "not in the index"),
        )
        if faces
    ]  # fmt: skip
    return f"{counted(found.same, 'face')} the same{''.join(f', {part}' for part in parts)}"


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
