"""The command on a real terminal: output, questions, and a terminal that is closed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Run, one_in, start_process
from test_command import many_photos, wait_for

EVIL = [
    "\x1b[31mred\x1b]0;title\x07.jpg",
    "two\nlines.jpg",
    "photo \u202egpj.jpg",
    "c1 \x9b2J.jpg",
    "=1+2.jpg",
    "東京 é.jpg",
]
SHOWN = [r"\x1b[31mred\x1b]0;title\x07.jpg", r"two\nlines.jpg", r"photo \u202egpj.jpg", r"c1 \x9b2J.jpg"]


class Terminal(NamedTuple):
    """The result of a command on a terminal: everything it wrote, and its exit code."""

    text: str
    code: int


Tty = Callable[..., Terminal]


def start_on_a_terminal(
    environment: dict[str, str], folder: Path, *arguments: Any
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the command with a new terminal as stdin, stdout and stderr; return it and the other end."""
    ours, theirs = pty.openpty()
    code = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    process = start_process(
        [sys.executable, "-c", code, sys.executable, "-m", "facesearch", *arguments], start_new_session=True,
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env={**environment, "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    return process, ours


def read_all(ours: int) -> bytes:
    """Read until the other end is closed."""
    parts = []
    while select.select([ours], [], [], 120)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # EIO, on Linux
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


@pytest.fixture
def tty(environment: dict[str, str], tmp_path: Path) -> Tty:
    def run(*arguments: Any, answer: str = "", exit_code: int = 0) -> Terminal:
        process, ours = start_on_a_terminal(environment, tmp_path, *arguments)
        try:
            os.write(ours, answer.encode())
            text = read_all(ours).decode("utf-8", "surrogateescape").replace("\r\n", "\n")
            code = process.wait(60)
        finally:
            os.close(ours)
        assert code == exit_code, text
        assert "Traceback" not in text
        return Terminal(text.removeprefix(answer.replace("\n", "\r\n")), code)

    return run


@pytest.fixture
def evil(facesearch: Run, library: Path, tmp_path: Path) -> Path:
    """Photos and a folder with terminal control sequences in their names, and their index in `ix`."""
    folder = tmp_path / "evil \x1b[8m\u202e"
    folder.mkdir()
    for name in EVIL:
        shutil.copy(library / "photos/portraits/bea.jpg", folder / name)
    os.link(library / "photos/portraits/bea.jpg", os.path.join(os.fsencode(folder), b"bytes \xff\xfe.jpg"))
    (folder / "broken\x1b[31m\n.jpg").write_bytes(b"\xff\xd8\xff")
    facesearch("index", folder, "--index", "ix", "-q")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    return folder


def is_harmless(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


COMMANDS: list[tuple[str, ...]] = [
    ("query", "me.jpg", "--index", "ix"),
    ("query", "me.jpg", "--index", "ix", "-f", "paths"),
    ("query", "me.jpg", "--index", "ix", "-f", "csv"),
    ("query", "{evil}/two\nlines.jpg", "me.jpg", "--each", "--index", "ix", "-q"),
    ("query", "me.jpg", "--index", "ix", "--copy-to", "{evil}/to", "--dry-run"),
    ("status", "--index", "ix"),
    ("status", "--index", "ix", "--failed"),
    ("folders", "list", "--index", "ix"),
    ("check", "--index", "{evil}/\x1b[2Jix"),
    ("doctor", "--index", "{evil}/\x1b[2Jix"),
    ("export", "-f", "csv", "--index", "ix"),
    ("who", "{evil}/two\nlines.jpg", "--crops-to", "{evil}/crops\x1b[2J"),
    ("models", "list"),
    ("index", "--index", "{evil}/\x1b[2Jix", "--dry-run"),
    ("index", "{evil}", "--index", "{evil}/\x1b[2Jnew", "--dry-run"),
    ("forget", "{evil}/two\nlines.jpg", "--index", "ix", "--dry-run"),
]


@pytest.mark.parametrize(
    "command",
    one_in(4, [(command,) for command in COMMANDS]),
    ids=lambda command: " ".join(command).encode("unicode_escape").decode()[:60],
)
def test_no_control_sequence_reaches_a_terminal(tty: Tty, evil: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    shutil.copytree(tmp_path / "ix", evil / "\x1b[2Jix")
    shown = tty(*(part.replace("{evil}", str(evil)) for part in command))
    assert is_harmless(shown.text), shown.text.encode("unicode_escape")
    if "ix" in command and command[0] in ("query", "export"):
        for name in SHOWN:
            assert name in shown.text
    if command[:2] != ("models", "list"):
        assert r"\x1b[" in shown.text


def test_rows_stay_rows_and_columns_columns(tty: Tty, evil: Path) -> None:
    head, *rows = tty("query", "me.jpg", "--index", "ix", "-q").text.splitlines()
    assert len(rows) == len(EVIL) + 1
    assert {row.index("/") for row in rows} == {head.index("path")}
    assert any(row.endswith(r"bytes \xff\xfe.jpg") for row in rows)
    assert any(row.endswith("東京 é.jpg") for row in rows)
    answer = tty("query", evil / "two\nlines.jpg", "me.jpg", "--each", "--index", "ix", "-q").text
    assert r"two\nlines.jpg, face 1 of 1" in answer.splitlines()[0]


@pytest.mark.parametrize("layout", ["json", "jsonl"])
def test_json_on_a_terminal_is_json(tty: Tty, facesearch: Run, evil: Path, layout: str) -> None:
    asked = ("query", "me.jpg", "--index", "ix", "-q", "-f", layout)
    shown, piped = tty(*asked).text, facesearch(*asked).stdout
    assert is_harmless(shown)
    parsed = [
        [json.loads(part) for part in ([text] if layout == "json" else text.splitlines())] for text in (shown, piped)
    ]
    assert parsed[0] == parsed[1]


def test_pipes_and_print0_get_raw_bytes(tty: Tty, facesearch: Run, evil: Path) -> None:
    expected = {os.fsencode(evil / name) for name in EVIL} | {os.path.join(os.fsencode(evil), b"bytes \xff\xfe.jpg")}
    piped = facesearch("query", "me.jpg", "--index", "ix", "-0").stdout
    assert {os.fsencode(path) for path in piped.split("\0")[:-1]} == expected
    assert str(evil / "two\nlines.jpg") in facesearch("query", "me.jpg", "--index", "ix").stdout
    on_terminal = tty("query", "me.jpg", "--index", "ix", "-0", "-q").text
    assert {os.fsencode(path) for path in on_terminal.split("\0")[:-1]} == expected


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photo more than are read without a question; all are empty."""
    folder = tmp_path_factory.mktemp("crowd")
    for number in range(100_001):
        (folder / f"{number}.jpg").touch()
    return folder


@pytest.mark.parametrize(("answer", "code"), one_in(2, [("n\n", 2), ("y\n", 0)]))
def test_very_many_photos_are_asked_about(
    tty: Tty, facesearch: Run, crowd: Path, tmp_path: Path, answer: str, code: int
) -> None:
    told = tty("index", crowd, "--index", "ix", "--max-time", "1s", answer=answer, exit_code=code or 5).text
    assert "100,001 photos will be read. Continue? [y/N]" in told
    assert (tmp_path / "ix").exists() == (code == 0)
    if code:
        assert "nothing was changed" in told
        # Without a terminal there is no question.
        facesearch("index", crowd, "--index", "ix", "--max-time", "1s", exit_code=5)


def hang_up(environment: dict[str, str], folder: Path, *arguments: Any, signals: int = 0) -> int:
    """Close the terminal of a run that reads photos, send `signals` more hang-ups, and return its exit code."""
    process, ours = start_on_a_terminal(environment, folder, *arguments)
    seen = b""
    while b" failed " not in seen:  # the progress bar is shown
        assert select.select([ours], [], [], 60)[0]
        seen += os.read(ours, 65536)
    wait_for(folder / "ix/in-hand")
    os.close(ours)
    for _ in range(signals):
        time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
    return process.wait(60)


@pytest.mark.parametrize("signals", one_in(2, [2, 0]))
def test_a_closed_terminal_loses_nothing(
    facesearch: Run, environment: dict[str, str], tmp_path: Path, signals: int
) -> None:
    """The system sends the signal when the terminal is closed, and the shell that started the run sends it again."""
    many_photos(tmp_path / "photos", 100)
    assert hang_up(environment, tmp_path, "index", "photos", "--index", "ix", signals=signals) == 129
    facts = json.loads(facesearch("status", "--index", "ix", "-f", "json").stdout)
    assert 0 < facts["photos"] < 100
    assert facts["last_run"]["stopped"], "the run ended normally and saved its report"
    rest = json.loads(facesearch("index", "--index", "ix", "-f", "json").stdout)
    assert (rest["unchanged"], rest["new"]) == (facts["photos"], 100 - facts["photos"])


def test_nohup_is_respected(facesearch: Run, environment: dict[str, str], tmp_path: Path) -> None:
    many_photos(tmp_path / "photos", 100)
    command = [sys.executable, "-m", "facesearch", "index", "photos", "--index", "ix", "-f", "json"]
    run = start_process(["nohup", *command], cwd=tmp_path, env=environment, stdout=-1, stderr=-1, stdin=-3, text=True)
    wait_for(tmp_path / "ix/in-hand")
    run.send_signal(signal.SIGHUP)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    assert json.loads(output)["new"] == 100


@pytest.mark.parametrize("command", ["status", "query"])
def test_a_hangup_ends_other_commands_too(
    environment: dict[str, str], indexed: Path, tmp_path: Path, command: str
) -> None:
    """The signal is sent while the command waits for a named pipe without a writer."""
    os.mkfifo(tmp_path / "pipe")
    script = (
        "import os, signal, sys; from facesearch.cli import main; from facesearch.index import store\n"
        "inner = store.Store.open.__func__\n"
        "def opened(*a, **k): print('waiting', file=sys.stderr, flush=True); open('pipe'); return inner(*a, **k)\n"
        "store.Store.open = classmethod(opened)\n"
        "main()"
    )
    arguments = [command, *(["me.jpg"] if command == "query" else []), "--index", str(indexed)]
    run = start_process(
        [sys.executable, "-c", script, *arguments], cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True
    )
    assert run.stderr is not None
    assert run.stderr.readline() == "waiting\n"
    run.send_signal(signal.SIGHUP)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 129, errors
    assert not re.search(r"Traceback|unexpected", errors)
