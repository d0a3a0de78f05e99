"""Photos that crash the process: identified in a separate process, and no other photo is blamed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import toy_model_info
from PIL import Image

from facesearch.indexing.contents import read
from facesearch.indexing.options import Options
from facesearch.indexing.suspects import IsolatedExtractor
from facesearch.models.framing import Framing
from facesearch.models.protocol import DetectorTraits
from facesearch.models.runtime import Runtime
from facesearch.types import Detection

DEADLY = (250, 0, 0)


class File(NamedTuple):
    path: bytes
    size: int = 100


class RedKills:
    """A model that finds no faces and aborts on red pictures, like a fault in a decoder."""

    info = toy_model_info("red kills", 4)
    runtime = Runtime("none", "cpu", 1)
    detector = DetectorTraits(face_score=0.5, sure_score=0.5, finds_faces_of_any_size=True)
    framing = Framing(looks=None)

    def detect(self, images: Sequence[np.ndarray[Any, Any]]) -> list[list[Detection]]:
        for image in images:
            if tuple(image[image.shape[0] // 2, image.shape[1] // 2].tolist()) == DEADLY:
                os.abort()
        return [[] for _ in images]

    def detect_in_views(self, views: np.ndarray[Any, Any]) -> list[list[Detection]]:
        return self.detect(list(views))

    def embed(self, crops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.empty((len(crops), 4), dtype=np.float32)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the other process import the model from the same path."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def picture(path: Path, colour: tuple[int, int, int]) -> File:
    Image.new("RGB", (40, 40), colour).save(path)
    return File(os.fsencode(path))


def test_a_photo_that_kills_the_process_twice_is_identified(tmp_path: Path) -> None:
    deadly, harmless = picture(tmp_path / "red.png", DEADLY), picture(tmp_path / "blue.png", (0, 0, 250))
    with IsolatedExtractor(RedKills(), Options(), cancelled=lambda: False) as isolated:
        before = isolated.extract(read(harmless))
        died = isolated.extract(read(deadly))
        after = isolated.extract(read(harmless))
    assert before == after
    assert before is not None
    assert (before.error, before.deaths, before.facts is None) == (None, 0, False)
    assert died is not None
    assert (died.deaths, died.facts, died.content.data) == (2, None, b"")
    assert died.error is not None
    assert "died 2 times while processing it alone (SIGABRT)" in died.error


def test_a_death_while_the_run_is_cancelled_proves_nothing(tmp_path: Path) -> None:
    deadly = picture(tmp_path / "red.png", DEADLY)
    asked = iter([False, True])
    with IsolatedExtractor(RedKills(), Options(), cancelled=lambda: next(asked)) as isolated:
        assert isolated.extract(read(deadly)) is None
    assert list(asked) == [], "two attempts were made"
