"""What the tests rely on: none skips in CI, signals reach what they start, and a fork is as good as a new Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, start_process
from forks import Forks

SKIPPING = """
import pytest
from conftest import NO_REAL_PHOTOS, NOT_PERMITTED

def test_skips():
    pytest.skip("no browser")

@pytest.mark.skipif(True, reason="no OpenCV")
def test_is_marked():
    pass

@pytest.fixture
def missing():
    pytest.importorskip("no_such_module", reason="no such module")

def test_needs_a_module(missing):
    pass

def test_needs_labelled_photos():
    pytest.skip(NO_REAL_PHOTOS)

def test_needs_rights():
    pytest.skip(f"{NOT_PERMITTED}: mount a disk")

@pytest.mark.xfail
def test_fails_as_expected():
    assert False

def test_passes():
    pass
"""


@pytest.mark.parametrize(
    ("ci", "told", "exit_code"),
    [("1", "1 failed, 1 passed, 2 skipped, 1 xfailed, 2 errors", 1), ("", "1 passed, 5 skipped, 1 xfailed", 0)],
    ids=["in CI", "elsewhere"],
)
def test_a_skipped_test_fails_in_ci(tmp_path: Path, ci: str, told: str, exit_code: int) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider"]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(CHECKOUT / "tests")}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code, done.stdout
    assert told in done.stdout
    for reason in ("no browser", "no OpenCV", "no such module"):
        assert (f"a test must not skip in CI. Skipped: {reason}" in done.stdout) == bool(ci), done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_started_process_ignores_no_signal_that_the_tests_ignore(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        command = [sys.executable, "-c", f"import signal; print(signal.getsignal({number:d}) == signal.SIG_IGN)"]
        for start, ignores in ((subprocess.Popen, "True"), (start_process, "False")):
            assert start(command, stdout=subprocess.PIPE, text=True).communicate()[0].strip() == ignores
        assert signal.getsignal(number) is signal.SIG_IGN, "the tests go on ignoring it"
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("index", b"\xff.jpg"), ("status",), ("roots", "--nonsense")],
    ids=lambda value: str(value[0]),
)
def test_a_fork_does_what_a_new_python_does(
    forks: Forks, environment: dict[str, str], tmp_path: Path, arguments: tuple[str | bytes, ...]
) -> None:
    expected = subprocess.run(
        [sys.executable, "-m", "facesearch", *arguments],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    found = forks.run(arguments, environment, tmp_path)
    assert found.returncode == expected.returncode
    assert (found.stdout, found.stderr) == (expected.stdout, expected.stderr)
