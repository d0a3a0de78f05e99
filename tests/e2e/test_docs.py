"""The documentation is correct: the help matches the program, commands and code run, and links work."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import CHECKOUT, Run

from facesearch.cli import app
from facesearch.settings import EMBEDDED_THRESHOLD

README = CHECKOUT / "README.md"
COMMAND_LINE = CHECKOUT / "docs/command-line.md"
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), CHECKOUT / "benchmarks/README.md"])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
HEAD = """# Command line

This page is generated from the help of the program. `facesearch COMMAND --help` shows the same.

"""


def commands(group: Any, name: str = "") -> Iterator[str]:
    """Yield a command or group, then every command in it, in the order of the help."""
    yield name
    for inner in getattr(group, "commands", {}).values():
        yield from commands(inner, f"{name} {inner.name}".strip())


def program() -> Any:
    return typer.main.get_command(app)


def help_of(name: str) -> str:
    """Return the help of a command as on a terminal of 80 columns."""
    command = program()
    context = command.make_context("facesearch", ["--version"], terminal_width=78, resilient_parsing=True)
    for word in name.split():
        command = command.commands[word]
        context = type(context)(command, info_name=word, parent=context)
    return str(command.get_help(context)).rstrip()


def test_the_help_is_the_programs_own(facesearch: Run) -> None:
    """With FACESEARCH_WRITE_DOCS=1, write the page instead of comparing it."""
    assert facesearch("folders", "move", "--help", env={"COLUMNS": "80"}).stdout.rstrip() == help_of("folders move")
    names = [f"facesearch {command}".strip() for command in commands(program())]
    parts = ["".join(f"* [{name}](#{name.replace(' ', '-')})\n" for name in names)]
    for command in commands(program()):
        text = help_of(command)
        title = f"facesearch {command}".strip()
        parts.append(f"{'###' if ' ' in command else '##'} {title}\n\n```\n{text}\n```\n")
    expected = HEAD + "\n".join(parts)
    if os.environ.get("FACESEARCH_WRITE_DOCS"):
        COMMAND_LINE.write_text(expected)
    assert COMMAND_LINE.read_text() == expected, "run this test with FACESEARCH_WRITE_DOCS=1"


def test_the_figures_are_those_of_the_calibration() -> None:
    """The threshold and the rates are stated once; `docs/figures.py` writes them into the pages."""
    run = subprocess.run(
        [sys.executable, CHECKOUT / "docs/figures.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_no_page_states_another_threshold() -> None:
    told = re.compile(r"(?:default threshold(?: of| is)?|found at) (0\.\d+)")
    for page in PAGES:
        for threshold in told.findall(page.read_text()):
            assert threshold == str(EMBEDDED_THRESHOLD), page.name


def test_the_readme_stays_short() -> None:
    assert len(README.read_text().splitlines()) <= 170, "move the rest to docs/"


def session() -> list[tuple[str, str]]:
    """Return each command of the README's session, and its output."""
    block = re.search(r"## One minute\n.*?```console\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    parts = re.split(r"^\$ (.*)\n", block[1], flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_the_session_of_the_readme(facesearch: Run, library: Path, tmp_path: Path) -> None:
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
        messages = [line for line in printed.splitlines() if line.startswith("facesearch: ")]
        assert set(messages) <= set(result.stderr.splitlines()), command


def _without_figures(line: str) -> list[str]:
    """Drop figures: scores differ in their last digits between processors, and times and dates always differ."""
    if line.startswith(("seconds", "last run", "runtime", "device", "size", "folders")):
        return line.split()[:1]
    line = line[: line.index("/")] + Path(line.rsplit("  ", maxsplit=1)[-1]).name if "/photos/" in line else line
    return [word for word in line.split() if not re.fullmatch(r"-?\d+\.\d+|\d+,\d+|\d+x\d+|\d+|\d+-\d\d-\d\d", word)]


def command_lines() -> Iterator[tuple[str, str]]:
    """Yield every command line of facesearch in a code block, with its page."""
    for page in PAGES:
        for kind, text in BLOCK.findall(page.read_text()):
            if kind == "python" or page == COMMAND_LINE:
                continue
            for line in text.splitlines():
                if (found := re.search(r"(?:^|[\s/=])facesearch (?!:)(.*)", line)) and not line.startswith("#"):
                    yield page.name, found[1]


def test_there_are_commands_to_try() -> None:
    assert len(list(command_lines())) > 30


@pytest.mark.parametrize(("page", "line"), list(command_lines()))
def test_commands_in_code_blocks_can_be_typed(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    arguments = [word for word in words if word not in ("...", "||", "|", ">")]
    ends = [words.index(end) for end in ("|", ">", "||", ";") if end in words]
    parse(arguments[: min(ends)] if ends else arguments)


def parse(arguments: list[str]) -> None:
    """Read a command line as the program does, without running it."""
    command = program()
    context = command.make_context("facesearch", list(arguments))
    while rest := [*context._protected_args, *context.args]:
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "commands"):
            return


def test_a_wrong_command_would_be_noticed() -> None:
    for wrong in ("quary me.jpg", "query me.jpg --togehter you.jpg", "index --format xml", "folders move /mnt/old"):
        with pytest.raises(Exception, match=r"(?i)no such|missing|choose"):
            parse(shlex.split(wrong))


def test_the_readmes_python_runs(environment: dict[str, str], library: Path, tmp_path: Path) -> None:
    shutil.copytree(library / "photos", tmp_path / "home/Pictures")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    programs = [text for kind, text in BLOCK.findall(README.read_text()) if kind == "python"]
    assert programs
    for text in programs:
        # The photos of the sample library have today's date.
        result = subprocess.run(
            [sys.executable, "-c", text], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        assert "strong" in result.stdout


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text())):
            yield page, link


@pytest.mark.parametrize(
    ("page", "link"), [pytest.param(page, link, id=f"{page.name}: {link}") for page, link in links()]
)
def test_links_lead_somewhere(page: Path, link: str) -> None:
    if link.startswith(("https://", "http://")):
        return
    path, _, anchor = link.partition("#")
    target = page if not path else page.parent / path
    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(README.parent / link).resolve() for page, link in links() if page == README}
    assert {page for page in PAGES if page != README} <= linked
