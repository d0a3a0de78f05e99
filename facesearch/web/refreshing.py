"""Indexing runs in a process of their own, so that questions are answered meanwhile; and the news of them."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TypedDict

from facesearch.errors import FacesearchError
from facesearch.visible import visible
from facesearch.web.problems import ProblemError

__all__ = ["Refreshing", "RunState"]

_TO_STOP = 20.0
_MOST_LISTENERS = 64


class RunState(TypedDict, total=False):
    """The state of the last indexing run; `done`, `total`, `faces` and `failed` are its progress."""

    state: Literal["idle", "running", "done", "cancelled", "failed"]
    done: int
    total: int
    faces: int
    failed: int
    message: str
    report: dict[str, Any]


class Refreshing:
    """At most one indexing run at a time, and those who listen to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._state: RunState = {"state": "idle"}
        self._listeners: set[asyncio.Queue[RunState]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def state(self) -> RunState:
        """The state now."""
        return self._state

    def start(self, *, again_failed: bool = False) -> None:
        """Start a run, in the event loop. Raises `ProblemError` if one is going on."""
        if self._process is not None and self._process.is_alive():
            raise ProblemError(HTTPStatus.CONFLICT, "an indexing run is going on already", retry_after=10)
        self._loop = asyncio.get_running_loop()
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(
            target=_refresh, args=(theirs, str(self._path), again_failed), name="facesearch refresh", daemon=True
        )
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        self._tell({"state": "running", "done": 0, "total": 0, "faces": 0, "failed": 0})
        threading.Thread(target=self._follow, args=(ours, process), daemon=True).start()

    def cancel(self) -> None:
        """Ask the run to end after the photos in hand; what it has done is kept."""
        if self._connection is not None:
            try:
                self._connection.send("cancel")
            except OSError:  # it has just ended
                pass

    def close(self) -> None:
        """End the run, if there is one."""
        self.cancel()
        if self._process is not None:
            self._process.join(_TO_STOP)
            if self._process.is_alive():
                self._process.terminate()
                self._process.join()

    @property
    def has_room(self) -> bool:
        """Whether one more can listen."""
        return len(self._listeners) < _MOST_LISTENERS

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[RunState]]:
        """Return a queue that gets each new state; only the last one waits for a slow listener."""
        queue: asyncio.Queue[RunState] = asyncio.Queue(maxsize=1)
        self._listeners.add(queue)
        queue.put_nowait(self._state)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def _follow(self, connection: Connection, process: multiprocessing.process.BaseProcess) -> None:
        """Pass on what the run tells, until it ends."""
        last: RunState = {"state": "failed", "message": "the run has ended unexpectedly"}
        try:
            while True:
                told: RunState = connection.recv()
                if told["state"] == "running":
                    self._soon(told)
                else:
                    last = told
        except (EOFError, OSError):
            pass
        process.join()
        self._soon(last)

    def _soon(self, state: RunState) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._tell, state)
        except RuntimeError:  # the server has ended
            pass

    def _tell(self, state: RunState) -> None:
        self._state = state
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(state)


def _refresh(connection: Connection, path: str, again_failed: bool) -> None:
    """Run in a process of its own: refresh the index, tell of the progress, and end when asked to or left alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server asks it to end
    from facesearch.api.index import Index
    from facesearch.events import observing
    from facesearch.render.records import report_record

    def progress(done: int, total: int, faces: int, failed: int) -> None:
        _send(connection, {"state": "running", "done": done, "total": total, "faces": faces, "failed": failed})

    def cancelled() -> bool:
        try:
            return connection.poll()  # a word from the server, or its end
        except OSError:
            return True

    try:
        with Index.open(path, observer=observing(progress=progress, cancelled=cancelled)) as index:
            report = index.refresh(retry_failed=again_failed)
        _send(
            connection,
            {"state": "cancelled" if report.stopped else "done", "report": report_record(report, path)},
        )
    except FacesearchError as error:
        _send(connection, {"state": "failed", "message": visible(str(error))})
    except Exception as error:
        _send(connection, {"state": "failed", "message": f"unexpected error ({type(error).__name__}: {error})"})
        sys.exit(70)


def _send(connection: Connection, state: RunState) -> None:
    try:
        connection.send(state)
    except OSError:  # the server has ended; the next photo sees that
        pass
