"""Merge the images and faces of photos that are processed at the same time into one batch.

This is for devices that are fast only with large batches: GPUs. No thread waits for a batch to fill: the first thread
that finds the device free takes all requests that came while it was busy. On a CPU, small batches are as fast as large
ones or faster (they fit into the cache), and each thread runs its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from facesearch.models.runtime import Runtime
from facesearch.types import Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.models.framing import Framing
    from facesearch.models.protocol import DetectorTraits, FaceModel
    from facesearch.types import FloatArray, Pixels

__all__ = ["BatchingModel"]

_PICTURES, _VIEWS, _FACES = 16, 64, 64

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class BatchingModel:
    """A `FaceModel` that serves several threads by merging their requests into batches for another model."""

    def __init__(self, model: FaceModel) -> None:
        self._model = model
        self._detect = _Batcher(model.detect, _PICTURES)
        self._detect_in_views: _Batcher[Pixels, list[Detection]] = _Batcher(
            lambda views: model.detect_in_views(np.stack(views)), _VIEWS
        )
        self._embed: _Batcher[Pixels, FloatArray] = _Batcher(lambda crops: list(model.embed(np.stack(crops))), _FACES)

    def __reduce__(self) -> tuple[type[BatchingModel], tuple[FaceModel]]:
        """Pickle the model alone: another process makes its own batches."""
        return BatchingModel, (self._model,)

    @property
    def info(self) -> ModelInfo:
        """See `FaceModel.info`."""
        return self._model.info

    @property
    def runtime(self) -> Runtime:
        """See `FaceModel.runtime`."""
        return self._model.runtime

    @property
    def detector(self) -> DetectorTraits:
        """See `FaceModel.detector`."""
        return self._model.detector

    @property
    def framing(self) -> Framing:
        """See `FaceModel.framing`."""
        return self._model.framing

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """See `FaceModel.detect`."""
        return self._detect(images)

    def detect_in_views(self, views: Pixels) -> list[list[Detection]]:
        """See `FaceModel.detect_in_views`."""
        return self._detect_in_views(list(views))

    def embed(self, crops: Pixels) -> FloatArray:
        """See `FaceModel.embed`."""
        rows = self._embed(list(crops))
        return np.stack(rows) if rows else np.empty((0, self.info.dim), dtype=np.float32)


class _Request(Generic[_In, _Out]):
    def __init__(self, items: Sequence[_In]) -> None:
        self.items = items
        self.results: list[_Out] | None = None
        self.error: BaseException | None = None


class _Batcher(Generic[_In, _Out]):
    """Runs `work` for one batch at a time, of up to `most` items; a single larger request is not split."""

    def __init__(self, work: Callable[[list[_In]], list[_Out]], most: int) -> None:
        self._work = work
        self._most = most
        self._free = Condition()
        self._busy = False
        self._waiting: deque[_Request[_In, _Out]] = deque()

    def __call__(self, items: Sequence[_In]) -> list[_Out]:
        if not items:
            return []
        request: _Request[_In, _Out] = _Request(items)
        with self._free:
            self._waiting.append(request)
        while True:
            with self._free:
                self._free.wait_for(lambda: not self._busy or self._is_done(request))
                if self._is_done(request):
                    break
                self._busy = True
                batch = self._next_batch()
            self._run(batch)
        if request.error is not None:
            raise request.error
        assert request.results is not None
        return request.results

    def _is_done(self, request: _Request[_In, _Out]) -> bool:
        return request.results is not None or request.error is not None

    def _next_batch(self) -> list[_Request[_In, _Out]]:
        batch = [self._waiting.popleft()]
        while self._waiting and sum(len(one.items) for one in [*batch, self._waiting[0]]) <= self._most:
            batch.append(self._waiting.popleft())
        return batch

    def _run(self, batch: list[_Request[_In, _Out]]) -> None:
        try:
            results = self._work([item for request in batch for item in request.items])
            for request in batch:
                request.results, results = results[: len(request.items)], results[len(request.items) :]
        except BaseException as error:
            for request in batch:
                request.error = error
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()
