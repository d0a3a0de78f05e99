"""Who is new in an index since a reader last asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.api.people_records import PersonSummary, summaries

if TYPE_CHECKING:
    from facesearch.api.opening import Stores
    from facesearch.catalog.catalog import Catalog

__all__ = ["News", "SeenPerson", "news_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPerson:
    """A person with new photos; `new` is set if the person was in no photo that was told of before."""

    person: PersonSummary
    photos: int
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Who is in new photos, those with the most new photos first, without ignored people.

    `unknown_faces` belong to nobody, in `unknown_photos`. `bookmark` is None if a date was asked for.
    """

    bookmark: str | None
    people: tuple[SeenPerson, ...]
    unknown_faces: int
    unknown_photos: int

    @property
    def is_empty(self) -> bool:
        """Whether there is no new face, except of ignored people."""
        return not self.people and not self.unknown_faces


def news_of(stores: Stores, bookmark: str, since: str | None, *, keep: bool) -> News:
    """Return the news for a bookmark, or since a date; see `People.seen`. Raises `UsageError` for an invalid one."""
    from facesearch.filters import first_and_last_second
    from facesearch.people.names import checked_name

    name = checked_name(bookmark, "bookmark")
    if since is not None:
        day = first_and_last_second("since", since)[0][:10]
        return _news(stores.reading().catalog, None, 0, day)
    if not keep:
        catalog = stores.reading().catalog
        return _news(catalog, name, catalog.people.bookmark(name), None)
    with stores.telling() as catalog:
        found = _news(catalog, name, catalog.people.bookmark(name), None)
        catalog.people.set_bookmark(name, catalog.faces.last_id(), int(time.time()))
    return found


def _news(catalog: Catalog, bookmark: str | None, after: int, since: str | None) -> News:
    rows = catalog.people.news(after, since)
    known = {one.number: one for one in summaries(catalog, [who for who, *_ in rows if who])}
    seen = [
        SeenPerson(person=known[who], photos=photos, new=new and after > 0)
        for who, photos, _, new in rows
        if who in known and not known[who].ignored
    ]
    unknown = next(((faces, photos) for who, photos, faces, _ in rows if not who), (0, 0))
    return News(bookmark=bookmark, people=tuple(seen), unknown_faces=unknown[0], unknown_photos=unknown[1])
