"""Calls in a separate process: results come back, and a crash is reported with its cause."""

from __future__ import annotations

import os
import signal
import time

import pytest

from facesearch.isolation import Isolation, ProcessDiedError


def test_answers_and_errors_come_back_and_the_process_is_kept() -> None:
    with Isolation(print, "what a library prints is no answer") as alone:
        first = alone(os.getpid)
        assert first != os.getpid()
        assert alone(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            alone(divmod, 7, 0)
        alone(print, "nor is this")
        assert alone(os.getpid) == first
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(first, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("the process is still running")


def test_a_crash_is_reported_and_the_next_call_has_a_new_process() -> None:
    with Isolation(print) as alone:
        with pytest.raises(ProcessDiedError) as died:
            alone(os.abort)
        assert (died.value.how, died.value.started) == ("SIGABRT", True)
        with pytest.raises(ProcessDiedError, match="exit code 9"):
            alone(os._exit, 9)
        with pytest.raises(ProcessDiedError, match="SIGKILL"):
            alone(signal.raise_signal, signal.SIGKILL)
        alone(signal.raise_signal, signal.SIGINT)
        alone(signal.raise_signal, signal.SIGTERM)
        assert alone(abs, -1) == 1, "signals to stop the parent do not end it"


def test_a_process_that_cannot_start_is_reported_as_such() -> None:
    with Isolation(os._exit, 5) as alone, pytest.raises(ProcessDiedError) as died:
        alone(abs, -1)
    assert (died.value.how, died.value.started) == ("exit code 5", False)
