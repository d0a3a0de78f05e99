"""`facesearch people review`: single keys at a real terminal, JSON and answers for scripts, pictures, problems."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, start_process
from PIL import Image

from facesearch import Index, UsageError
from facesearch.index.store import Store
from facesearch.people.statements import Kind


@pytest.fixture
def split(indexed: Path, tmp_path: Path) -> Path:
    """An index in which the person with most photos is in two groups, and one face of another one is alone.

    Grouping has put the cameraman to somebody who looks like him, so there are three questions.
    """
    ix = tmp_path / "ix"
    shutil.copytree(indexed, ix)
    with Store.open(ix, write=True) as store, store.transaction():
        people = store.catalog.people
        (most, *_), (second, *_) = people.summary()[:2]
        half = people.faces_of(most)[::2]
        number = people.add()
        people.assign((face, number, None) for face in half)
        people.unassign(people.faces_of(second)[:1])
    return ix


def listed(facesearch: Run, ix: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(facesearch("people", "review", "--index", ix, "-f", "json").stdout)
    return found


def history(facesearch: Run, ix: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(facesearch("people", "history", "--index", ix, "-f", "json").stdout)
    return found


class Terminal:
    """The command at a terminal: what it wrote, and keys to type."""

    def __init__(self, environment: dict[str, str], folder: Path, *arguments: Any) -> None:
        self._ours, self._theirs = pty.openpty()
        code = (
            "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
        )
        self.process: subprocess.Popen[bytes] = start_process(
            [sys.executable, "-c", code, sys.executable, "-m", "facesearch", *arguments], start_new_session=True,
            stdin=self._theirs, stdout=self._theirs, stderr=self._theirs, cwd=folder, env=environment,
        )  # fmt: skip
        self.before = termios.tcgetattr(self._theirs)
        self.text = ""

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self._theirs) == self.before

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, times: int = 1) -> None:
        end = time.monotonic() + 120
        while self.text.count(text) < times:
            assert time.monotonic() < end, self.text
            if select.select([self._ours], [], [], 1)[0]:
                self.text += os.read(self._ours, 65536).decode("utf-8", "replace")

    def end(self) -> int:
        code = self.process.wait(120)
        while select.select([self._ours], [], [], 0)[0]:
            self.text += os.read(self._ours, 65536).decode("utf-8", "replace")
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def terminal(environment: dict[str, str], split: Path) -> Iterator[Terminal]:
    started = Terminal({**environment, "COLUMNS": "200"}, split.parent, "people", "review", "--index", split)
    yield started
    started.close()


def test_one_key_per_answer(terminal: Terminal, facesearch: Run, split: Path) -> None:
    first, second, *_ = asked = listed(facesearch, split)
    terminal.wait_for("[y/n/s/u/q] ")
    assert first["question"] in terminal.text
    assert all(face["path"] in terminal.text for face in first["faces"])
    terminal.type("x")
    terminal.wait_for("x: y yes, n no, s skip, u undo, q quit")
    terminal.type("u")
    terminal.wait_for("nothing was answered yet")
    terminal.wait_for("[y/n/s/u/q] ", 2)  # a key that is typed before the question is dropped
    terminal.type("s")
    terminal.wait_for("[y/n/s/u/q] ", 3)
    assert second["question"] in terminal.text
    terminal.type("u")
    terminal.wait_for("[y/n/s/u/q] ", 4)
    assert terminal.text.count(first["question"]) == 3
    terminal.type("n")
    terminal.wait_for("[y/n/s/u/q] ", 5)
    assert terminal.text.count(second["question"]) == 2
    terminal.type("u")
    terminal.wait_for("undone", 2)
    terminal.wait_for("[y/n/s/u/q] ", 6)
    terminal.type("y")
    terminal.wait_for("[y/n/s/u/q] ", 7)
    assert not terminal.is_as_before(), "keys are read one by one"
    terminal.type("q")
    assert terminal.end() == 0
    assert "1 answer; `facesearch people undo` takes the last one back" in terminal.text
    assert terminal.is_as_before()
    assert [one["id"] for one in listed(facesearch, split)] == [one["id"] for one in asked[1:]]
    kinds = [(action["origin"], action["statements"][0]["kind"]) for action in history(facesearch, split)]
    assert kinds == [("review", "one"), ("hand", "undo"), ("review", "two")]


def test_the_end_of_questions(terminal: Terminal, facesearch: Run, split: Path) -> None:
    _, second, _ = listed(facesearch, split)
    terminal.type("yy")  # before there is a question
    for number, key in enumerate("nsn", start=1):
        terminal.wait_for("[y/n/s/u/q] ", number)
        terminal.type(key)
    assert terminal.end() == 0
    assert "no more questions" in terminal.text
    assert [(one["id"], one["skipped"]) for one in listed(facesearch, split)] == [(second["id"], True)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_terminal_is_restored(terminal: Terminal, number: int, code: int) -> None:
    terminal.wait_for("[y/n/s/u/q] ")
    while terminal.is_as_before():
        time.sleep(0.01)
    if number == signal.SIGINT:
        terminal.type("\x03")
    else:
        terminal.process.send_signal(number)
    assert terminal.end() == code
    assert terminal.is_as_before()
    assert "Traceback" not in terminal.text


def test_a_stopped_review_leaves_the_terminal_alone(terminal: Terminal) -> None:
    terminal.wait_for("[y/n/s/u/q] ")
    terminal.type("\x1a")
    while os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.01)
    assert terminal.is_as_before()
    terminal.process.send_signal(signal.SIGCONT)
    while terminal.is_as_before():
        time.sleep(0.01)
    terminal.type("q")
    assert terminal.end() == 0
    assert terminal.is_as_before()


def test_scripts_answer(facesearch: Run, split: Path) -> None:
    first, second, third = listed(facesearch, split)
    assert [one["kind"] for one in (first, second, third)] == ["merge", "lone", "member"]
    assert (
        facesearch("people", "review", "--index", split).stdout
        == facesearch("people", "review", "--index", split, "-f", "json").stdout
    ), "without a terminal"
    told = facesearch("people", "review", "--index", split, "--answer", f"{first['id']}=yes", "--answer",
                      f"{second['id']}=skip")  # fmt: skip
    assert "1 answer;" in told.stderr
    assert [(one["id"], one["skipped"]) for one in listed(facesearch, split)] == [
        (third["id"], False), (second["id"], True)
    ]  # fmt: skip
    told = facesearch("people", "review", "--index", split, "--answer", f"{first['id']}=no", "--answer",
                      f"{second['id']}=n")  # fmt: skip
    assert f"{first['id']}: was answered already" in told.stderr
    assert [one["id"] for one in listed(facesearch, split)] == [third["id"]]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("--answer", "foo=yes"), 2, "foo: not the id of a question"),
        (("--answer", "people-1-999=yes"), 2, "people-1-999: no such question"),
        (("--answer", "people-1-2"), 2, "write it as ID=yes, ID=no or ID=skip"),
        (("--sheet", "x.txt"), 2, "a sheet is a picture"),
        (("--sheet", "missing/x.png"), 3, "check the folder"),
        (("--sheet", "x.png", "--problems"), 2, "give one of"),
        (("--limit", "0"), 2, "greater than or equal to 1"),
    ],
)
def test_errors_are_one_line(
    facesearch: Run, indexed: Path, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    result = facesearch("people", "review", "--index", indexed, *arguments, exit_code=exit_code)
    assert message in result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")


def test_nothing_is_said_if_one_answer_is_wrong(facesearch: Run, split: Path) -> None:
    first, *_ = listed(facesearch, split)
    answers = ["--answer", f"{first['id']}=yes", "--answer", "people-1-999=yes"]
    facesearch("people", "review", "--index", split, *answers, exit_code=2)
    assert history(facesearch, split) == []


def test_pairs_are_drawn(facesearch: Run, split: Path, tmp_path: Path) -> None:
    told = facesearch("people", "review", "--index", split, "--sheet", "pairs.png")
    assert "pairs.png: 3 questions" in told.stderr
    with Image.open(tmp_path / "pairs.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").resize((60, 30)).getcolors(2000) or []) > 100, "faces are on it"
    Image.new("RGB", (90, 90)).save(tmp_path / "photo.png")
    refused = facesearch("people", "review", "--index", split, "--sheet", "photo.png", exit_code=3)
    assert "was not made by facesearch" in refused.stderr


def test_problems_are_listed(facesearch: Run, split: Path) -> None:
    table = facesearch("people", "review", "--index", split, "--problems").stdout.splitlines()
    assert table[0].split() == ["person", "other", "faces", "similarity", "problem", "photo"]
    assert "look like one person" in table[1]
    (problem,) = json.loads(facesearch("people", "review", "--index", split, "--problems", "-f", "json").stdout)
    assert (problem["kind"], len(problem["people"]), len(problem["faces"])) == ("alike", 2, 2)
    facesearch("people", "merge", *(str(one["person"]) for one in problem["people"]), "--index", split)
    assert "nothing looks wrong" in facesearch("people", "review", "--index", split, "--problems").stderr


def test_other_programs_can_review(split: Path) -> None:
    with Index.open(split) as index:
        first, second, third = index.people.questions()
        assert index.people.is_open(first)
        action = index.people.answer(first, True)
        assert not index.people.is_open(first.id)
        index.people.skip(second)
        left = index.people.questions(limit=5)
        assert [(one.id, one.skipped) for one in left] == [(third.id, False), (second.id, True)]
        index.people.undo(action)
        assert [one.id for one in index.people.questions()] == [first.id, third.id, second.id]
        assert [problem.kind for problem in index.people.problems()] == ["alike"]
        assert index.people.history()[-1].statements[0].kind == Kind.one
        with pytest.raises(UsageError):
            index.people.questions(limit=0)
