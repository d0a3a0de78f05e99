"""The README tells the truth: its help is the program's, its session happens."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import CHECKOUT, Run

from facesearch.cli import app

README = CHECKOUT / "README.md"
HELP = re.compile(
    r"(?<=<!-- help: generated, see tests/e2e/test_readme.py -->\n).*?(?=<!-- end of help -->)", re.DOTALL
)


def commands(group: Any, name: str = "") -> Iterator[str]:
    """A command or group, and every command in it, in the order of the help."""
    yield name
    for inner in getattr(group, "commands", {}).values():
        yield from commands(inner, f"{name} {inner.name}".strip())


def test_the_help_is_the_programs_own(facesearch: Run) -> None:
    """With FACESEARCH_WRITE_README=1 the text is written instead of compared."""
    parts = []
    for command in commands(typer.main.get_command(app)):
        text = facesearch(*command.split(), "--help", env={"COLUMNS": "100"}).stdout.rstrip()
        parts.append(f"```console\n$ {' '.join(f'facesearch {command} --help'.split())}\n{text}\n```\n")
    expected = "\n" + "\n".join(parts) + "\n"
    readme = README.read_text()
    if os.environ.get("FACESEARCH_WRITE_README"):
        README.write_text(HELP.sub(lambda _: expected, readme))
        readme = README.read_text()
    found = HELP.search(readme)
    assert found is not None
    assert found[0] == expected, "run the tests with FACESEARCH_WRITE_README=1"


def session() -> list[tuple[str, str]]:
    """Each command of the README's session, and what it printed."""
    block = re.search(r"## A session\n.*?```console\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    parts = re.split(r"^\$ (.*)\n", block[1], flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_the_session_happens(facesearch: Run, library: Path, tmp_path: Path) -> None:
    shutil.copytree(library / "photos", tmp_path / "photos")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    (tmp_path / "indexes").mkdir()
    steps = session()
    assert len(steps) >= 3
    for command, printed in steps:
        words = shlex.split(command)
        assert words[0] == "facesearch"
        result = facesearch(*words[1:])
        shown = [line for line in printed.splitlines() if not line.startswith("facesearch: ")]
        assert [_without_figures(line) for line in result.stdout.splitlines()] == [
            _without_figures(line) for line in shown
        ], command


def _without_figures(line: str) -> list[str]:
    """Scores differ in their last digits between processors, times and dates always; the rest does not."""
    if line.startswith(("seconds", "last run", "runtime", "device", "size", "roots")):
        return line.split()[:1]
    line = line[: line.index("/")] + Path(line.rsplit("  ", maxsplit=1)[-1]).name if "/photos/" in line else line
    return [word for word in line.split() if not re.fullmatch(r"-?\d+\.\d+|\d+,\d+|\d+x\d+|\d+|\d+-\d\d-\d\d", word)]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README.read_text()))
def test_links_lead_somewhere(link: str) -> None:
    assert (CHECKOUT / link).exists()
