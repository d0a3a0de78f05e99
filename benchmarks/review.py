"""Measure `people review`: how many answers it takes to name the faces of a library.

    python benchmarks/review.py FOLDER

FOLDER has one subfolder of photos per person. An oracle knows the truth. It starts from plain grouping, and each answer
names a group or answers a question: whichever settles more photos by the review's own estimate. To name a group counts
as one answer, also if the name merges it with another. Orders of questions are compared with a random one; what is
named, and when a question is asked, is the same for all of them. The chances behind the order were fitted to libraries
made from nine people; libraries made from the others are reported (see `libraries`). `--keep FILE.npz` stores the
embeddings for the next call.

Shares are of the faces of people who were seen more than once: the others belong to no group, and have no number.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from libraries import Labels, Library, five_each, load, many, split
from people import store_of

from facesearch.calibration.table import Calibration, read_calibration
from facesearch.errors import UsageError
from facesearch.evaluation.fit import measured
from facesearch.index.store import Store
from facesearch.people.regroup import regroup
from facesearch.people.review import Question, answer, questions
from facesearch.people.saying import Statement, say_all
from facesearch.people.statements import Kind
from facesearch.types import ModelInfo

SEED = 11
TARGETS = (0.80, 0.95, 0.98, 0.99)
AT_ONCE = 50
SHOWN_AFTER = (25, 50, 100)

Rank = Callable[[float, int], float]


def orders() -> dict[str, Rank]:
    """Return the orders to compare, by name."""
    rng = np.random.default_rng(5)
    return {
        "photos x chance": lambda chance, photos: chance * photos,
        "photos x uncertainty": lambda chance, photos: 4 * chance * (1 - chance) * photos,
        "random": lambda _chance, _photos: float(rng.random()),
    }


def review(real: Library, info: ModelInfo, most: int, names: tuple[str, ...]) -> None:
    """Print the numbers of answers."""
    tuned, reported = split(real)
    table = read_calibration(measured(tuned.vectors, np.unique(tuned.people, return_inverse=True)[1], info))
    libraries = {
        f"{len(np.unique(real.people))} people, many photos": real,
        "1,000 people, most seen once or twice": many(reported, 1000, SEED),
        "3,000 people, five photos each": five_each(reported, 3000, SEED),
    }
    targets = " | ".join(f"{target:.0%}" for target in TARGETS)
    after = " | ".join(f"after {number}" for number in SHOWN_AFTER)
    print(f"| library | order | {targets} | groups named | right then | {after} questions | changed something |")
    print("| --- | --- |" + " ---: |" * (len(TARGETS) + len(SHOWN_AFTER) + 3))
    for name, library in libraries.items():
        with store_of(library.vectors, info) as store:
            regroup(store, calibration=table)
            for order, rank in orders().items():
                if names and order not in names:
                    continue
                with taken_back(store):
                    start = time.perf_counter()
                    told = Oracle(store, library.people, table, rank).run(most)
                    seconds = time.perf_counter() - start
                print(f"| {name} | {order} | {told} |  <!-- {seconds:.0f} s -->", flush=True)


@contextmanager
def taken_back(store: Store) -> Iterator[None]:
    """Take back whatever is written."""
    try:
        with store.catalog.transaction():
            yield
            raise _Done
    except _Done:
        pass


class _Done(Exception):  # noqa: N818
    """Ends a transaction without its writes."""


class Oracle:
    """Names groups and answers questions by the truth, int64[n], the person of each face."""

    def __init__(self, store: Store, truth: Labels, table: Calibration, rank: Rank) -> None:
        self._store, self._truth, self._table, self._rank = store, truth, table, rank
        self._counts = np.bincount(truth)[truth] > 1
        self._named: dict[int, int] = {}
        self._answers = self._asked = self._changed = 0
        self._reached: dict[float, int] = {}
        self._after: dict[int, float] = {}
        self._first: tuple[int, float] | None = None

    def run(self, most: int) -> str:
        """Answer until nothing is left, or `most` questions were answered; return the figures."""
        while self._asked < most:
            found = questions(self._store, calibration=self._table)
            best = sorted((one.chance * one.photos for one in found), reverse=True)
            ranked = sorted(found, key=lambda one: -self._rank(one.chance, one.photos))
            named = self._name(best[0] if best else 0.0)
            if not ranked and not named:
                break
            if not named or best[0] < 2:
                self._ask(ranked[: min(AT_ONCE, most - self._asked)])
        share = self._right()
        shown = [f"{self._reached[target]:,}" if target in self._reached else "-" for target in TARGETS]
        first = self._first or (self._answers, share)
        later = [f"{self._after.get(number, share):.2%}" for number in SHOWN_AFTER]
        changed = f"{self._changed} of {self._asked}"
        return " | ".join([*shown, f"{first[0]:,}", f"{first[1]:.2%}", *later, changed])

    def _name(self, least: float) -> bool:
        """Name the groups without a name that have more faces than `least`, the largest first."""
        people = self._people()
        numbers, counts = np.unique(people[people > 0], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        todo = [int(numbers[place]) for place in order if counts[place] > least and numbers[place] not in self._named]
        known = {self._named[number]: number for number in reversed(list(self._named))}
        statements = []
        right = int((self._names(people) == self._truth)[self._counts].sum())
        for number in todo:
            inside = self._truth[people == number]
            who = int(np.bincount(inside).argmax())
            self._named[number] = who
            if who in known:
                statements.append(Statement(Kind.one, person=known[who], other=number))
            else:
                statements.append(Statement(Kind.name, person=number, value=f"person {who}"))
                known[who] = number
            right += int((inside == who)[self._counts[people == number]].sum())
            self._answers += 1
            self._note(right / int(self._counts.sum()))
        if statements:
            say_all(self._store.catalog, statements)
        return bool(statements)

    def _ask(self, asked: list[Question]) -> None:
        if self._first is None:
            self._first = self._answers, self._right()
        before = self._people()
        for question in asked:
            try:
                answer(self._store.catalog, question.id, yes=self._is_so(question, before))
            except UsageError:  # another answer has settled it
                continue
            self._answers += 1
            self._asked += 1
            people = self._people()
            self._changed += bool((people != before).any())
            before = people
            share = float((self._names(people) == self._truth)[self._counts].mean())
            self._note(share)
            self._after.setdefault(self._asked, share)

    def _is_so(self, question: Question, people: Labels) -> bool:
        about, first, second = question.id.split("-")
        catalog = self._store.catalog.people
        one, other = (self._mostly(catalog.current(int(number)), people) for number in (first, second))
        return (one if about == "people" else int(self._truth[int(first) - 1])) == other

    def _mostly(self, number: int | None, people: Labels) -> int:
        inside = self._truth[people == number]
        return int(np.bincount(inside).argmax()) if len(inside) else -1

    def _people(self) -> Labels:
        assigned = self._store.catalog.people.assigned()
        people = np.zeros(len(self._truth), dtype=np.int64)
        people[np.fromiter(assigned, np.int64) - 1] = np.fromiter(assigned.values(), np.int64)
        return people

    def _names(self, people: Labels) -> Labels:
        names = np.full(int(people.max(initial=0)) + 1, -1, dtype=np.int64)
        for number, who in self._named.items():
            if number < len(names):
                names[number] = who
        return names[people]

    def _right(self) -> float:
        return float((self._names(self._people()) == self._truth)[self._counts].mean())

    def _note(self, share: float) -> None:
        for target in TARGETS:
            if share >= target:
                self._reached.setdefault(target, self._answers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=Path, help="a file that stores the embeddings")
    parser.add_argument("--questions", type=int, default=100, help="the most questions to answer")
    parser.add_argument("--order", nargs="*", default=[], help="only these orders")
    arguments = parser.parse_args()
    labelled, model = load(arguments.folder, arguments.keep)
    review(labelled, model, arguments.questions, tuple(arguments.order))
