"""The bound of `facesearch index`: the same kernel calls, and nothing else, on all cores.

    python kernels.py FOLDER [DEVICE]

First the folder is indexed in memory while three kinds of kernel calls are written down: decoding a JPEG at one of the
sizes it can be decoded at, a run of the detector's graph and a run of the recogniser's graph, with the shapes that they
were given. Then these calls are made again by as many threads as there are cores, each graph on one core: Pillow
decodes the same bytes at the same size, and the graphs run on arrays of the same shapes that are there already. No file
is read, no picture shrunk, no head decoded, no crop cut, nothing kept. What indexing takes beyond this could be saved
without faster kernels and without fewer calls of them.

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
"""How often the calls are replayed: the more, the less it counts that threads do not end at the same moment."""


class Call(NamedTuple):
    """A kernel with its input, ready to run."""

    stage: str
    run: Callable[[], object]


class Record:
    """The kernel calls of one run, in their order; written to from several threads."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._feeds: dict[object, dict[str, Any]] = {}

    def decoded(self, data: bytes, factor: int) -> None:
        """A JPEG was decoded with each side divided by `factor`."""
        self.calls.append(Call("decode", partial(decode, data, factor)))

    def ran(self, stage: str, session: Session, names: Sequence[str] | None, feed: Mapping[str, Any]) -> None:
        """A graph was run."""
        # One picture for each shape will do: what it shows makes no difference to how long a graph takes.
        shapes = tuple((name, value.shape, value.dtype) for name, value in feed.items())
        if (stage, shapes) not in self._feeds:
            self._feeds[stage, shapes] = {name: value.copy() for name, value in feed.items()}
        self.calls.append(Call(stage, partial(session.run, names, self._feeds[stage, shapes])))


class RecordedSession:
    """A session that writes down what it is asked."""

    def __init__(self, stage: str, session: Session, record: Record) -> None:
        self._stage, self._session, self._record = stage, session, record

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> list[Any]:
        """See `Session.run`."""
        self._record.ran(self._stage, self._session, names, feed)
        return self._session.run(names, feed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def recorded_photo(record: Record) -> type[Photo]:
    """Photos that write down at which part of its size each JPEG is decoded."""

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
    """Index a folder as the command does, into memory."""
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
    """Seconds by the clock, and the threads' seconds in each kind of kernel."""

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
