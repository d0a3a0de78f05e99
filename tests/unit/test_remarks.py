"""Remarks on a query and its answer, for library callers and with command-line options."""

from __future__ import annotations

import pytest
from conftest import toy_face

from facesearch.cli.remarks import told
from facesearch.errors import NoFaceError
from facesearch.events import Observer, Remark
from facesearch.search.probes import Probe
from facesearch.search.remarks import (
    LeftOut,
    MaybeTwoPeople,
    Missed,
    NothingFor,
    NothingFound,
    NotMeasured,
    SeveralFaces,
    SomebodyElse,
    UnmeasuredLeftOut,
)
from facesearch.search.result import Answer, Hit
from facesearch.types import FaceRecord, Verdict


def probe(path: str, number: int = 1, of: int = 1) -> Probe:
    return Probe(path, number, of, toy_face([1.0, 0.0], (10.0, 20.0, 50.0, 60.0)))


def hit(path: bytes, similarity: float, *, is_query: bool = False) -> Hit:
    face = FaceRecord(1, 1, 1, 1, path, toy_face([1.0, 0.0]).detection, None)
    return Hit(0, similarity, face, verdict=Verdict.possible, is_query=is_query)


@pytest.mark.parametrize(
    ("remark", "plain", "on_the_command_line"),
    [
        (
            SeveralFaces(probe("party.jpg", 1, 2), [probe("party.jpg", 2, 2)]),
            "party.jpg shows 2 faces: using the largest, at 10,20 (50 px)",
            "; --face selects another (2 at 10,20 (50 px))",
        ),
        (Missed(1), "1 more likely photo below the threshold", "; --top-k shows it"),
        (Missed(2, "fmr"), "2 more likely photos below the threshold", "; a higher --fmr shows them"),
        (Missed(2, "threshold"), "2 more likely photos below the threshold", "; a lower --threshold shows them"),
        (
            MaybeTwoPeople(probe("a.jpg"), probe("b.jpg"), 0.123),
            "a.jpg and b.jpg may show two people (similarity 0.12); both are used",
            "; --each searches for each of them",
        ),
        (
            NotMeasured("mine", Verdict.possible),
            "the error rates of mine were never measured, so no verdict is better than possible",
            "; measure them with facesearch models calibrate FOLDER, one subfolder per person",
        ),
        (LeftOut(NoFaceError("a.jpg: no face found")), "a.jpg: no face found; skipped", ""),
    ],
)
def test_the_command_line_adds_what_to_do(remark: Remark, plain: str, on_the_command_line: str) -> None:
    assert str(remark) == plain
    assert told(remark) == plain + on_the_command_line


@pytest.mark.parametrize(
    ("filters", "searched", "faces", "threshold", "top_k", "expected"),
    [
        (
            [], 9, 9, 0.47, False,
            "no face reaches a similarity of 0.47 among 9 faces in ix; --top-k 5 shows the nearest",
        ),
        ([], 9, 9, 0.47, True, "no face reaches a similarity of 0.47 among 9 faces in ix"),
        (["since"], 1, 9, 0.5, True, "no face reaches a similarity of 0.5 among 1 face in ix that passes --since"),
        ([], 0, 0, 0.47, False, "no face was found among 0 faces in ix"),
        ([], 9, 9, None, False, "no face was found among 9 faces in ix"),
        (["alone"], 0, 9, 0.47, False, "none of the 9 faces in ix passes --alone; omit it"),
        (
            ["min_face", "under"], 0, 1, 0.47, False,
            "the only face in ix does not pass --min-face and --under; omit one of them, or give another value",
        ),
    ],
)  # fmt: skip
def test_nothing_found(
    filters: list[str], searched: int, faces: int, threshold: float | None, top_k: bool, expected: str
) -> None:
    answers = [Answer(probe("me.jpg"), [], searched)]
    assert told(NothingFound(answers, threshold, "ix", faces, filters, top_k)) == expected


def test_nothing_found_names_the_nearest_and_the_photo_itself() -> None:
    near = Answer(probe("me.jpg"), [], 9, nearest=hit(b"/p/x.jpg", 0.3))
    line = "no face reaches a similarity of 0.47 among 9 faces in ix; the nearest is /p/x.jpg (0.30, possible)"
    assert str(NothingFound([near], 0.47, "ix", 9)) == line
    itself = Answer(probe("me.jpg"), [hit(b"/p/me.jpg", 1.0, is_query=True)], 9)
    assert str(NothingFound([itself], 0.47, "ix", 9)).startswith(
        "only the query photo itself, or a copy of it, reaches"
    )
    assert (
        str(NothingFound([itself], None, "ix", 9))
        == "only the query photo itself, or a copy of it, was found among 9 faces in ix"
    )


def test_up_to_three_queries_without_an_answer_are_named() -> None:
    without = [probe("a.jpg"), probe("b.jpg", 2, 3), probe("c.jpg"), probe("d.jpg"), probe("e.jpg")]
    assert str(NothingFor(without, 9)) == "nothing found for 5 of 9 queries: a.jpg, b.jpg, face 2, c.jpg and 2 more"


def test_an_observer_hears_warnings_as_warnings() -> None:
    heard = []

    class Listening(Observer):
        def note(self, message: str) -> None:
            heard.append(("note", message))

        def warn(self, message: str) -> None:
            heard.append(("warning", message))

    for remark in (Missed(1), SomebodyElse(probe("a.jpg"), 0.1), UnmeasuredLeftOut(3)):
        Listening().remark(remark)
    assert [kind for kind, _ in heard] == ["note", "warning", "warning"]
