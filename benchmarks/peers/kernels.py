"""Measure the upper bound for `facesearch index`: the same kernel calls, and nothing else, on all cores.

    python kernels.py FOLDER [DEVICE]

First the folder is indexed in memory, and three kinds of kernel calls are recorded: decoding a JPEG at one of the sizes
that its format allows, a run of the detector's graph and a run of the recogniser's graph, with their input shapes. Then
one thread per core makes these calls again, each graph on one core: Pillow decodes the same bytes at the same size, and
the graphs run on ready arrays of the same shapes. No file is read, no picture shrunk, no detector output decoded, no
crop cut, nothing stored. What indexing takes beyond this could be saved without faster or fewer kernel calls.

Prints one line of JSON: photos, faces, seconds, the core-seconds of each kind of kernel and the number of its calls.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from unittest.mock import patch

from PIL import Image

from facesearch.index.store import Store
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import refresh
from facesearch.indexing.report import Report
from facesearch.models import bundled
from facesearch.models.runtime import Runtime, choose_runtime
from facesearch.models.sessions import Session, open_session
from facesearch.photos import sources
from facesearch.photos.picture import Photo

STAGES = ("decode", "detect", "embed")
ROUNDS = 3
"""The number of times the calls are replayed: the more, the less it matters that threads end at different times."""


class Call(NamedTuple):
    """A kernel call with its input, ready to run."""

    stage: str
    run: Callable[[], object]


class Record:
    """The kernel calls of one run, in order; filled by several threads."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._feeds: dict[object, dict[str, Any]] = {}

    def decoded(self, data: bytes, factor: int) -> None:
        """Record that a JPEG was decoded with each side divided by `factor`."""
        self.calls.append(Call("decode", partial(decode, data, factor)))

    def ran(self, stage: str, session: Session, names: Sequence[str] | None, feed: Mapping[str, Any]) -> None:
        """Record that a graph was run."""
        # One input per shape is enough: its values make no difference to the time of a graph.
        shapes = tuple((name, value.shape, value.dtype) for name, value in feed.items())
        if (stage, shapes) not in self._feeds:
            self._feeds[stage, shapes] = {name: value.copy() for name, value in feed.items()}
        self.calls.append(Call(stage, partial(session.run, names, self._feeds[stage, shapes])))


class RecordedSession:
    """A session that records its runs."""

    def __init__(self, stage: str, session: Session, record: Record) -> None:
        self._stage, self._session, self._record = stage, session, record

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> list[Any]:
        """See `Session.run`."""
        self._record.ran(self._stage, self._session, names, feed)
        return self._session.run(names, feed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def recorded_photo(record: Record) -> type[Photo]:
    """Return a `Photo` class that records at which fraction of its size each JPEG is decoded."""

    class RecordedPhoto(Photo):
        def __init__(self, source: bytes | BinaryIO, *rest: Any, **options: Any) -> None:
            self._to_record = source if isinstance(source, bytes) else source.read()
            super().__init__(self._to_record, *rest, **options)

        def _decode(self, *rest: Any, **options: Any) -> Image.Image:
            picture = super()._decode(*rest, **options)
            record.decoded(self._to_record, max(1, round(max(self.size) / max(picture.size))))
            return picture

    return RecordedPhoto


def decode(data: bytes, factor: int) -> None:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        if factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))
        image.load()


def record_index(folder: Path, runtime: Runtime, workers: int) -> tuple[Record, Report]:
    """Index a folder in memory, as the command does."""
    record = Record()

    def recorded_session(path: Path, *rest: Any, **settings: Any) -> RecordedSession:
        stage = "detect" if path.name.startswith("yunet") else "embed"
        return RecordedSession(stage, opened(path, *rest, **settings), record)

    opened = open_session
    with (
        patch.object(bundled, "open_session", recorded_session),
        patch.object(sources, "Photo", recorded_photo(record)),
    ):
        model = bundled.BundledModel(runtime)
        with Store.memory(model.info) as store:
            report = refresh(store, model, [folder], options=replace(Options(), workers=workers))
    return record, report


def replay(calls: Sequence[Call], workers: int) -> tuple[float, dict[str, float]]:
    """Make the calls again; return the elapsed seconds, and the threads' seconds per kind of kernel."""

    def timed(call: Call) -> tuple[str, float]:
        started = time.perf_counter()
        call.run()
        return call.stage, time.perf_counter() - started

    spent = dict.fromkeys(STAGES, 0.0)
    with ThreadPoolExecutor(workers) as pool:
        started = time.perf_counter()
        for stage, seconds in pool.map(timed, calls):
            spent[stage] += seconds
        return time.perf_counter() - started, spent


def main(folder: Path, device: str = "auto") -> None:
    runtime = choose_runtime(device)
    workers = runtime.threads
    record, report = record_index(folder, runtime.shared_by(workers), workers)
    replay(record.calls, workers)  # warms the arrays, the allocators and the threads
    seconds, spent = replay(record.calls * ROUNDS, workers)
    calls = {stage: sum(call.stage == stage for call in record.calls) for stage in STAGES}
    print(
        json.dumps(
            {
                "photos": report.photos,
                "faces": report.faces,
                "seconds": seconds / ROUNDS,
                "stages": {stage: total / ROUNDS for stage, total in spent.items()},
                "calls": calls,
                "runtime": str(runtime.shared_by(workers)),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
