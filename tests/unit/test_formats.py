"""The table of formats: files of each are found, recognised under any name, and decoded."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_library import heic

from facesearch.photos.formats import FORMATS, SUFFIXES, Format, format_of
from facesearch.photos.header import read_header
from facesearch.photos.picture import Photo, memory_needed
from facesearch.photos.scan import OTHER_MEDIA, scan

COLOURS = [(200, 60, 30), (30, 60, 200)]


def halves() -> Image.Image:
    """Return a picture that is red on the left and blue on the right."""
    image = Image.new("RGB", (64, 48), COLOURS[0])
    image.paste(COLOURS[1], (32, 0, 64, 48))
    return image


def file_of(form: Format) -> bytes:
    if form.name == "HEIF":
        return heic(halves())
    form.load()
    buffer = io.BytesIO()
    halves().save(buffer, form.name)
    return buffer.getvalue()


@pytest.fixture(params=FORMATS, ids=lambda form: form.name)
def form(request: pytest.FixtureRequest) -> Format:
    found: Format = request.param
    return found


def test_its_files_are_found_by_their_names(form: Format, tmp_path: Path) -> None:
    names = sorted(f"photo{suffix.upper()}" for suffix in form.suffixes.split())
    for name in names:
        (tmp_path / name).write_bytes(file_of(form))
    others: list[bytes] = []
    found = scan(os.fsencode(tmp_path), unreadable=lambda *_: None, other=others.append)
    assert [os.fsdecode(file.path) for file in found] == names
    assert others == []


def test_only_this_format_recognises_its_files(form: Format) -> None:
    data = file_of(form)
    assert [entry.name for entry in FORMATS if entry.announced_by(data[:32])] == [form.name]
    assert format_of(data[:32]) is form
    assert not form.announced_by(b"")


def test_it_is_decoded(form: Format) -> None:
    pixels = Photo(file_of(form)).pixels(1280).astype(float)
    assert pixels.shape == (48, 64, 3)
    for half, colour in zip((pixels[:, 4:28], pixels[:, 36:60]), COLOURS, strict=True):
        assert np.abs(half.mean(axis=(0, 1)) - colour).max() < 25


def test_its_memory_is_known_before_it_is_decoded(form: Format) -> None:
    assert 3 * 64 * 48 <= memory_needed(io.BytesIO(file_of(form))) <= 40 * 64 * 48


def test_missing_metadata_is_empty(form: Format) -> None:
    header = read_header(io.BytesIO(file_of(form)))
    assert (header.taken, header.position, header.orientation, header.ours) == (None, None, 1, False)


def test_photo_formats_are_not_other_media() -> None:
    assert not SUFFIXES & OTHER_MEDIA
    assert b".cr2" in OTHER_MEDIA
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes.split()]
    assert len(suffixes) == len(SUFFIXES), "each suffix belongs to one format"


def test_other_files_are_not_recognised() -> None:
    for head in (b"", b"PK\x03\x04", b"%PDF-1.7", bytes(32), b"just some text, no photo at all!"):
        assert format_of(head) is None
