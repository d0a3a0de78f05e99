"""Run calls in a separate process that may crash, which proves that a particular call caused the crash.

The process is a new Python, not a fork: it shares no network and no lock with its parent. It handles calls one at a
time and ends when its pipe closes, so a killed parent leaves none behind. If memory runs out, the system kills it
before its parent.
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
    """The process ended during a call; `how` is the signal or exit code. `started` is False if it never took a call."""

    def __init__(self, how: str, *, started: bool) -> None:
        super().__init__(how)
        self.how = how
        self.started = started


class Isolation:
    """A process for calls that may crash it; use as a context manager. `begin` is called first in each new process.

    Functions, arguments and results are sent through a pipe, so they must be picklable.
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
        """Return the function's result, or raise its exception. Raises `ProcessDiedError` if the process ends."""
        process = self._process
        if process is None:
            process = self._process = self._start()
            self._ask(process, _set_up, (sys.path, self._begin, self._arguments), started=False)
        result: _Result = self._ask(process, function, arguments, started=True)
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "facesearch.isolation"]
        try:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - this module
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
            raised, answer = pickle.load(process.stdout)  # noqa: S301 - from our own child process
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self._process = None
            raise ProcessDiedError(self._close(process), started=started) from error
        if raised:
            raise answer
        return answer

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> str:
        """End the process and return how it ended."""
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # unsent data for a process that has died
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
            function, arguments = pickle.load(questions)  # noqa: S301 - from our parent process
        except EOFError:
            return
        try:
            answer = False, function(*arguments)
        except Exception as error:  # for the caller: raised again there
            answer = True, error
        pickle.dump(answer, answers)
        answers.flush()


def _main() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a stopped parent finishes the call in progress
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:  # not Linux
        pass
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # libraries may print to stdout, which carries the answers
        _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
