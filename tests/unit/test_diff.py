"""Changes of files: what counts as unchanged, and pairing files with the catalog."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from facesearch.catalog.records import KnownPhoto
from facesearch.indexing.diff import looks_unchanged, side_by_side
from facesearch.types import PhotoFile

HOUR = 3600 * 10**9
SECOND = 10**9
NOW = 1_700_000_000 * SECOND


def unchanged(apart: int, size: int = 5) -> bool:
    now, then = PhotoFile(b"a", size, NOW + apart), PhotoFile(b"a", 5, NOW)
    assert looks_unchanged(now, then) == looks_unchanged(PhotoFile(b"a", 5, NOW), PhotoFile(b"a", size, NOW + apart))
    return looks_unchanged(now, then)


@given(st.integers(0, 14), st.integers(-2 * SECOND, 2 * SECOND))
def test_whole_hours_and_two_seconds_are_no_change(hours: int, slack: int) -> None:
    assert unchanged(hours * HOUR + slack)
    assert not unchanged(hours * HOUR + slack, size=6)


@given(st.integers(0, 13), st.integers(2 * SECOND + 1, HOUR - 2 * SECOND - 1))
def test_anything_else_is_a_change(hours: int, rest: int) -> None:
    assert not unchanged(hours * HOUR + rest)


def test_days_are_a_change() -> None:
    assert not unchanged(15 * HOUR)
    assert not unchanged(24 * HOUR)


paths = st.sets(st.binary(min_size=1, max_size=3), max_size=20)


@given(paths, paths)
def test_pairs_are_those_of_a_dictionary(there: set[bytes], known: set[bytes]) -> None:
    files = [PhotoFile(path, 1, 1) for path in sorted(there)]
    photos = [KnownPhoto(1, 1, PhotoFile(path, 1, 1), "faces", False) for path in sorted(known)]
    pairs = list(side_by_side(files, photos))
    assert {file.path for file, _ in pairs if file} == there
    assert {photo.file.path for _, photo in pairs if photo} == known
    assert {file.path for file, photo in pairs if file and photo} == there & known
    assert all(not (file and photo) or file.path == photo.file.path for file, photo in pairs)
    assert len(pairs) == len(there | known)
