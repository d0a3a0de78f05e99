"""Threads that answer requests, each with an index of its own, and a bound on how many requests wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from facesearch.web.problems import ProblemError

__all__ = ["Workers"]

T = TypeVar("T")
Tool = TypeVar("Tool", bound=Any)


class Workers(Generic[Tool]):
    """Threads with a tool each, such as an open index, which belongs to the thread that opened it.

    At most `waiting` requests wait for a thread; further ones are refused with 429. After an error of the class
    `renew`, such as a lost connection, the thread makes its tool anew.
    """

    def __init__(
        self,
        make: Callable[[], Tool],
        *,
        threads: int,
        waiting: int,
        name: str,
        renew: type[Exception] | tuple[()] = (),
    ) -> None:
        self._make = make
        self._renew = renew
        self._most = threads + waiting
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._own = threading.local()
        self._busy = 0

    async def run(self, work: Callable[[Tool], T]) -> T:
        """Do a piece of work in one of the threads. Raises `ProblemError` if too many requests wait already."""
        if self._busy >= self._most:
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many requests at once; try again", retry_after=1)
        self._busy += 1
        future = self._threads.submit(self._done, work)
        future.add_done_callback(self._one_less(asyncio.get_running_loop()))
        return await asyncio.wrap_future(future)

    def _one_less(self, loop: asyncio.AbstractEventLoop) -> Callable[[object], None]:
        """Return what counts the end of a request; its client may have gone before that."""

        def count() -> None:
            self._busy -= 1

        def done(_: object) -> None:
            try:
                loop.call_soon_threadsafe(count)
            except RuntimeError:  # the server has ended
                pass

        return done

    def _done(self, work: Callable[[Tool], T]) -> T:
        try:
            return work(self._tool())
        except self._renew:
            self._own.__dict__.clear()
            raise

    def _tool(self) -> Tool:
        if not hasattr(self._own, "tool"):
            self._own.tool = self._make()
        tool: Tool = self._own.tool
        return tool

    def close(self) -> None:
        """Wait for the work in progress, and end the threads."""
        self._threads.shutdown(cancel_futures=True)
