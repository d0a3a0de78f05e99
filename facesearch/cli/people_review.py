"""`facesearch people review`: questions about people, one key per answer, and what looks wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.keys import drop_keys, read_key, single_keys
from facesearch.cli.messages import is_somebody_there, say
from facesearch.cli.options import IndexPath, TableOrJson
from facesearch.cli.stdout import for_stdout, write, write_json
from facesearch.errors import UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import Question

__all__ = ["COMMANDS"]

_LISTED, _DRAWN, _AT_ONCE = 100, 40, 50
_KEYS = "y yes, n no, s skip, u undo, q quit"

_Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", metavar="N", min=1, help="At most N questions. [default: all; 100 as JSON, 40 in a picture]"
    ),
]
_Answers = Annotated[
    list[str] | None,
    typer.Option(
        "--answer", metavar="ID=ANSWER", help="Answer a question by its id: yes, no or skip. May be repeated."
    ),
]
_SheetFile = Annotated[
    Path | None, typer.Option("--sheet", metavar="FILE", help="Draw the questions as a picture; ask nothing.")
]
_Problems = Annotated[bool, typer.Option("--problems", help="List what looks wrong; ask nothing.")]


def review(
    limit: _Limit = None,
    answers: _Answers = None,
    sheet: _SheetFile = None,
    problems: _Problems = False,
    index_path: IndexPath = None,
    layout: TableOrJson = "table",
) -> None:
    """Ask who is who, the question that settles most photos first. One key answers: y, n, s (skip), u (undo), q (quit).

    An answer is kept at once and never asked for again. Without a terminal the questions are listed as JSON.
    """
    from facesearch.api.index import Index

    if sum(map(bool, (answers, sheet, problems))) > 1:
        raise UsageError("give one of --answer, --sheet and --problems")
    with Index.open(index_path, observer=Console()) as index:
        if problems:
            _list_problems(index, layout)
        elif answers:
            _answer(index, [_parsed(one) for one in answers])
        elif sheet is not None:
            _draw(index, sheet, limit or _DRAWN)
        elif layout == "json" or not is_somebody_there():
            from facesearch.render.review import question_records

            write_json(question_records(index.people.questions(limit or _LISTED)), ascii_only=True)
        else:
            _Session(index, limit).run()


def _list_problems(index: Index, layout: str) -> None:
    from facesearch.render.review import problem_records, render_problems

    found = index.people.problems()
    if layout == "json":
        write_json(problem_records(found), ascii_only=True)
        return
    write([render_problems(found, for_stdout())])
    if not found:
        say(f"nothing looks wrong with the people in {index.path}")


def _parsed(answer: str) -> tuple[str, str]:
    question, _, word = answer.partition("=")
    word = {"y": "yes", "n": "no", "s": "skip"}.get(word.lower(), word.lower())
    if word not in ("yes", "no", "skip"):
        raise UsageError(f"--answer {answer:.60}: write it as ID=yes, ID=no or ID=skip")
    return question, word


def _answer(index: Index, answers: list[tuple[str, str]]) -> None:
    """Answer questions, or none if one of them is not known. Those that another answer has settled are left out."""
    for question, _ in answers:
        index.people.is_open(question)
    done = 0
    for question, word in answers:
        if not index.people.is_open(question):
            say(f"{question}: was answered already")
        elif word == "skip":
            index.people.skip(question)
        else:
            index.people.answer(question, word == "yes")
            done += 1
    say(_told(done))


def _draw(index: Index, sheet: Path, limit: int) -> None:
    from facesearch.render.review import check_sheet, save_questions

    check_sheet(sheet)
    drawn = save_questions(index.people.questions(limit), sheet)
    say(f"{sheet}: {counted(drawn, 'question')}; --answer ID=yes answers one")


def _told(answered: int) -> str:
    return f"{counted(answered, 'answer')}" + "; `facesearch people undo` takes the last one back" * bool(answered)


class _Session:
    """Asks questions at the terminal until they are answered, or the user quits."""

    def __init__(self, index: Index, limit: int | None) -> None:
        self._index, self._limit = index, limit
        self._done: list[tuple[Question, int | None]] = []
        self._skipped: set[str] = set()

    def run(self) -> None:
        """Ask; at the end say how many answers there are."""
        try:
            with single_keys():
                while (waiting := self._waiting()) and self._asked(waiting):
                    pass
        finally:
            say(_told(sum(action is not None for _, action in self._done)))

    def _waiting(self) -> list[Question]:
        """Return the next questions, without those that were skipped just now."""
        left = _AT_ONCE if self._limit is None else min(_AT_ONCE, self._limit - len(self._done))
        if left <= 0:
            return []
        found = self._index.people.questions(left + len(self._skipped))
        waiting = [one for one in found if one.id not in self._skipped][:left]
        if not waiting:
            say("no more questions" if self._done else f"no questions about the people in {self._index.path}")
        return waiting

    def _asked(self, waiting: list[Question]) -> bool:
        """Ask these questions; False if the user quits."""
        place = 0
        while place < len(waiting):
            question = waiting[place]
            if not self._index.people.is_open(question):
                place += 1
                continue
            key = self._key(question)
            if key is None or key == "q":
                return False
            if key == "u":
                taken = self._undone()
                waiting[place:place] = [] if taken is None else [taken]
                continue
            self._done.append((question, self._said(question, key)))
            place += 1
        return True

    def _key(self, question: Question) -> str | None:
        """Ask one question; return the key that answers it."""
        from facesearch.render.review import question_line, question_paths

        for line in question_paths(question):
            say(f"  {line}")
        drop_keys()
        say(f"{question_line(question)} [y/n/s/u/q] ", end="")
        while (key := read_key()) is not None and key not in tuple("ynsuq"):
            say(f"{key}: {_KEYS} ", end="")
        return key

    def _said(self, question: Question, key: str) -> int | None:
        say({"y": "yes", "n": "no", "s": "skipped"}[key])
        if key == "s":
            self._skipped.add(question.id)
            self._index.people.skip(question)
            return None
        return self._index.people.answer(question, key == "y")

    def _undone(self) -> Question | None:
        """Take back the last answer of this session; return its question."""
        if not self._done:
            say("undo: nothing was answered yet; `facesearch people undo` takes back what was said before")
            return None
        question, action = self._done.pop()
        if action is None:
            self._skipped.discard(question.id)
            self._index.people.skip(question, skipped=question.skipped)
        else:
            self._index.people.undo(action)
        say("undone")
        return question


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "review": ("Answer questions about who is who.", review),
}
"""The commands, by name: the short help and the function."""
