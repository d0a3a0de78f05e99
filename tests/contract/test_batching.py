"""Batching across threads: each thread gets its own results, and errors reach the threads that they concern."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import toy_model_info
from sample_library import shipped_photo

from facesearch.models.batching import BatchingModel
from facesearch.models.framing import Framing
from facesearch.models.protocol import DetectorTraits, FaceModel
from facesearch.models.runtime import Runtime
from facesearch.types import Detection

Array = np.ndarray[Any, Any]


class SlowModel:
    """Embeds a crop as its first pixel; its first batch waits until the others are queued."""

    info = toy_model_info("slow", 3)
    runtime = Runtime("none", "cpu", 1)
    detector = DetectorTraits(face_score=0.5, sure_score=0.5, finds_faces_of_any_size=False)
    framing = Framing(looks=None)

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.others_may_come = threading.Event()
        self.first_is_under_way = threading.Event()

    def detect(self, images: Sequence[Array]) -> list[list[Detection]]:
        return [[] for _ in images]

    def detect_in_views(self, views: Array) -> list[list[Detection]]:
        return self.detect(list(views))

    def embed(self, crops: Array) -> Array:
        self.batches.append(len(crops))
        if len(self.batches) == 1:
            self.first_is_under_way.set()
            assert self.others_may_come.wait(10)
        if (crops == 255).all(axis=(1, 2, 3)).any():
            raise ValueError("a white crop")
        found: Array = crops[:, 0, 0, :].astype(np.float32)
        return found


def crops_of(*values: int) -> Array:
    return np.stack([np.full((112, 112, 3), value, dtype=np.uint8) for value in values])


def asked(model: BatchingModel, slow: SlowModel, requests: list[Array]) -> list[Any]:
    """Send the others while the first request is in progress; return each one's result or exception."""

    def ask(crops: Array) -> Any:
        try:
            return model.embed(crops)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        first = pool.submit(ask, requests[0])
        assert slow.first_is_under_way.wait(10)
        others = [pool.submit(ask, request) for request in requests[1:]]
        waiting = model._embed
        while len(waiting._waiting) < len(others):
            time.sleep(0.001)
        slow.others_may_come.set()
        return [first.result(10), *(other.result(10) for other in others)]


def test_what_comes_meanwhile_goes_together_and_comes_back_apart() -> None:
    slow = SlowModel()
    model = BatchingModel(slow)
    requests = [crops_of(1), crops_of(2, 3), crops_of(4), crops_of(*range(5, 45)), crops_of(*range(50, 70))]
    answers = asked(model, slow, requests)
    for request, answer in zip(requests, answers, strict=True):
        assert answer[:, 0].tolist() == request[:, 0, 0, 0].tolist()
    assert slow.batches[0] == 1
    assert sum(slow.batches) == 64
    assert len(slow.batches) == 2, "one batch with all 63 that were queued"


def test_a_batch_that_fails_fails_for_all_in_it_and_the_next_one_works() -> None:
    slow = SlowModel()
    model = BatchingModel(slow)
    first, *others = asked(model, slow, [crops_of(1), crops_of(2), crops_of(255)])
    assert first.tolist() == [[1, 1, 1]]
    assert [str(other) for other in others] == ["a white crop"] * 2
    assert model.embed(crops_of(7)).tolist() == [[7, 7, 7]]
    assert model.embed(np.empty((0, 112, 112, 3), dtype=np.uint8)).shape == (0, 3)


@pytest.mark.parametrize("threads", [1, 6])
def test_the_real_model_answers_alike(model: FaceModel, threads: int) -> None:
    batching = BatchingModel(model)
    pictures = [np.asarray(shipped_photo(name)) for name in ("astronaut", "t1", "hanks", "coffee")] * 3
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda picture: batching.detect([picture])[0], pictures))
    for picture, detections in zip(pictures, found, strict=True):
        (alone,) = model.detect([picture])
        assert [face.box for face in detections] == [face.box for face in alone]
    assert batching.info == model.info
