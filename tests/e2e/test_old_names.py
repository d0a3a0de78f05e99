"""Option and command names of earlier versions work, warn once, and are not listed or completed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

OLD_AND_NEW = [
    (("roots", "list", "--index", "{ix}"), ("folders", "list", "--index", "{ix}"), "roots is now called folders"),
    (("roots", "--help"), ("folders", "--help"), "roots is now called folders"),
    (("faces", "{me}"), ("who", "{me}"), "faces is now called who"),
    (
        ("query", "{me}", "--index", "{ix}", "--together", "{dan}", "--together={fay}", "-f", "paths"),
        ("query", "{me}", "--index", "{ix}", "--with", "{dan}", "--with={fay}", "-f", "paths"),
        "--together is now called --with",
    ),
    (
        ("scan", "{me}", "{photos}", "--together", "{dan}", "-f", "paths"),
        ("scan", "{me}", "{photos}", "--with", "{dan}", "-f", "paths"),
        "--together is now called --with",
    ),
    (
        ("forget", "--root", "{photos}", "--dry-run", "--index", "{ix}"),
        ("forget", "--folder", "{photos}", "--dry-run", "--index", "{ix}"),
        "--root is now called --folder",
    ),
    (("export", "--no-vectors", "--index", "{ix}"), ("export", "--index", "{ix}"), "--no-vectors is the default now"),
]


@pytest.mark.parametrize(("old", "new", "warning"), OLD_AND_NEW)
def test_an_old_name_works_and_warns_once(
    facesearch: Run, library: Path, indexed: Path, old: tuple[str, ...], new: tuple[str, ...], warning: str
) -> None:
    portraits = library / "photos/portraits"
    places = {
        "ix": indexed, "me": library / "query.jpg", "photos": library / "photos",
        "dan": portraits / "dan.jpg", "fay": portraits / "fay.jpg",
    }  # fmt: skip
    was, is_now = (facesearch(*(word.format(**places) for word in words)) for words in (old, new))
    assert was.stdout == is_now.stdout
    told, *rest = was.stderr.splitlines()
    assert told.startswith(f"facesearch: {warning}")
    assert rest == is_now.stderr.splitlines(), "one warning, however often the name is used"


def test_arguments_after_two_dashes_are_not_options(facesearch: Run, library: Path, indexed: Path) -> None:
    missing = facesearch("query", "--index", indexed, library / "query.jpg", "--", "--together", exit_code=0)
    assert "--together: " in missing.stderr
    assert "is now called" not in missing.stderr


def test_old_names_are_neither_listed_nor_completed(facesearch: Run, environment: dict[str, str]) -> None:
    helps = [facesearch(*command, "--help").stdout for command in ((), ("query",), ("scan",), ("forget",), ("export",))]
    for name in ("roots", "  faces ", "--together", "--root", "--no-vectors"):
        assert not any(name in text for text in helps)

    def offered(*words: str) -> set[str]:
        completing = {
            "_FACESEARCH_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1),
        }  # fmt: skip
        result = subprocess.run(
            [sys.executable, "-m", "facesearch"], env={**environment, **completing}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.stderr == ""
        return set(result.stdout.split())

    assert offered("facesearch", "r") == {"reindex", "restore"}
    assert offered("facesearch", "f") == {"folders", "forget"}
    assert offered("facesearch", "w") == {"who"}
    assert offered("facesearch", "query", "--wi") == {"--with", "--without"}
    assert offered("facesearch", "forget", "--fol") == {"--folder"}
    assert offered("facesearch", "export", "--v") == {"--vectors"}
    assert offered("facesearch", "folders", "") == {"list", "move", "remove"}
    assert offered("facesearch", "roots", "m") == {"move"}, "an old group name completes without a warning"


def test_groups_without_a_command_list(facesearch: Run, library: Path, indexed: Path) -> None:
    assert facesearch("folders", "--index", indexed).stdout == f"{os.fspath(library / 'photos')}\n"
    assert facesearch("folders", env={"FACESEARCH_INDEX": str(indexed)}).stdout == f"{library / 'photos'}\n"
    misplaced = facesearch("folders", "--index", indexed, "list", exit_code=2)
    assert "give --index after the command: facesearch folders list --index DIR" in misplaced.stderr
    assert facesearch("models").stdout == facesearch("models", "list").stdout


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_help_fits_the_terminal(facesearch: Run, columns: int) -> None:
    text = facesearch("query", "--help", env={"COLUMNS": str(columns)}).stdout
    body = text.split("Examples:")[0]  # example commands are not wrapped
    assert max(map(len, body.splitlines())) <= max(32, min(columns, 80))
