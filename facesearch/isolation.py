"""Calls in a process of their own, which may die of them: the only proof that it was this call that killed it.

The process is a fresh Python, not a fork: it shares no network and no lock with this one. It takes calls one after the
other, and ends when nobody can ask any more: a parent that is killed leaves none behind. Where memory runs out, the
system ends it before its parent.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

__all__ = ["Isolation", "ProcessDiedError"]

_Result = TypeVar("_Result")
_PATIENCE = 10.0


class ProcessDiedError(Exception):
    """The process ended during a call; `how` says by what. `started` is False where it never took a call."""

    def __init__(self, how: str, *, started: bool) -> None:
        super().__init__(how)
        self.how = how
        self.started = started


class Isolation:
    """A process for calls that may end it; use as a context manager. `begin` is called first in each new process.

    Functions, arguments and results go through a pipe between processes of one version: they have to be picklable.
    """

    def __init__(self, begin: Callable[..., None], *arguments: object) -> None:
        self._begin = begin
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._close(self._process)

    def __call__(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        """What the function gives, or raises. Raises `ProcessDiedError` when the process ends instead."""
        process = self._process
        if process is None:
            process = self._process = self._start()
            self._ask(process, _set_up, (sys.path, self._begin, self._arguments), started=False)
        result: _Result = self._ask(process, function, arguments, started=True)
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "facesearch.isolation"]
        try:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
        except OSError as error:
            raise ProcessDiedError(f"cannot be started ({error.strerror})", started=False) from error

    def _ask(
        self, process: subprocess.Popen[bytes], function: Callable[..., Any], arguments: Any, *, started: bool
    ) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((function, arguments), process.stdin)
            process.stdin.flush()
            raised, answer = pickle.load(process.stdout)  # noqa: S301 - of a process that this one has started
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self._process = None
            raise ProcessDiedError(self._close(process), started=started) from error
        if raised:
            raise answer
        return answer

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> str:
        """End it; gives how it ended."""
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was to be written to one that has died
                pass
        try:
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _set_up(path: list[str], begin: Callable[..., None], arguments: tuple[object, ...]) -> None:
    sys.path[:] = path
    begin(*arguments)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            function, arguments = pickle.load(questions)  # noqa: S301 - of the process that has started this one
        except EOFError:
            return
        try:
            answer = False, function(*arguments)
        except Exception as error:  # it is the caller's: raised again there
            answer = True, error
        pickle.dump(answer, answers)
        answers.flush()


def _main() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # whoever stops the parent lets it finish what is in hand
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:  # another system
        pass
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever a library prints is no answer
        _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
