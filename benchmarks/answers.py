"""Measure the precision and recall of answers and of strong hits, per person, with default settings.

    python benchmarks/answers.py photos FOLDER    portraits/<person>/, groups/ and who.json
    python benchmarks/answers.py folders FOLDER   train/<person>/ and test/: who is found
    python benchmarks/answers.py people FOLDER    <person>/, many photos of each

With `--revision N ...`, each embedding revision is measured in turn.

`photos` queries with every single portrait, and with every template of three, among all other portraits and the group
photos. A hit is right if its photo shows the person. `people` queries with random templates of one and of three photos
among all others: plain, and expanded with the strong hits. Then it queries for people that the calibration does not
know: for each person, the table is measured on all others. All photos of the others are searched, but only two of the
person's own, the hardest case for a verdict.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from calibrate import faces_in_photos
from numpy.typing import NDArray

from facesearch.calibration.storage import calibration_of
from facesearch.calibration.table import Calibration, read_calibration
from facesearch.calibration.verdict import Judge
from facesearch.evaluation.fit import measured, well_labelled
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.indexing.refresh import refresh
from facesearch.models.align import TEMPLATE
from facesearch.models.framing import LATEST_REVISION
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.search.engine import Want, find_all
from facesearch.search.probes import Probe, probe_faces
from facesearch.search.result import Answer
from facesearch.search.template import pick_by_others, template
from facesearch.types import Box, Detection, Face, ModelInfo, PhotoFacts, PhotoFile, Verdict

SIZES = (1, 3)
QUESTIONS = 30
FEW = 2
BELOW = 0.06
SEED = 1
RANKED_FROM = 0.2
"""The lowest similarity that is ranked for the mean average precision; below it there are hardly any genuine hits."""

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
Shown = Mapping[str, set[str]]


class Score:
    """The results of the queries for one person."""

    def __init__(self) -> None:
        self.questions = self.there = self.right = self.wrong = self.sure = self.sure_wrong = 0
        self.precisions: list[float] = []

    def add(self, answer: Answer, right: Iterable[bool], there: int, threshold: float) -> None:
        """Add an answer; `right` says per hit, best first, whether it is right, `there` how many photos to find."""
        self.questions += 1
        self.there += there
        good, ranked = 0, []
        for number, (hit, is_right) in enumerate(zip(answer.hits, right, strict=True), start=1):
            if is_right:
                good += 1
                ranked.append(good / number)
            if hit.similarity >= threshold:
                self.right += is_right
                self.wrong += not is_right
            if hit.verdict is Verdict.strong:
                self.sure += is_right
                self.sure_wrong += not is_right
        self.precisions.append(sum(ranked) / there if there else 1.0)

    @property
    def recall(self) -> float:
        """The share of the person's photos that are found."""
        return self.right / self.there if self.there else 1.0

    @property
    def precision(self) -> float:
        """The share of the hits that are right."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def false_hits(self) -> float:
        """The mean number of false hits per query."""
        return self.wrong / self.questions

    @property
    def certainty(self) -> float:
        """The share of the strong hits that are right."""
        return self.sure / (self.sure + self.sure_wrong) if self.sure + self.sure_wrong else 1.0

    @property
    def mean_precision(self) -> float:
        """The average precision over the ranks of the right hits, averaged over the queries."""
        return float(np.mean(self.precisions)) if self.precisions else float("nan")


def show(title: str, scores: Mapping[str, Score]) -> None:
    print(f"\n{title}\n")
    print("| person | recall | precision | false hits per query | strong: recall | strong: precision "
          "| mean average precision |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for person, score in scores.items():
        print(_row(person, [score]))
    print(_row("mean", list(scores.values())))
    worst = {
        name: min(scores, key=lambda person: getattr(scores[person], name))
        for name in ("recall", "precision", "certainty")
    }
    told = ", ".join(f"{name} {worst[name]} ({getattr(scores[worst[name]], name):.1%})" for name in worst)
    print(f"\nworst: {told}")


def _row(name: str, scores: Sequence[Score]) -> str:
    def mean(figure: str) -> float:
        return float(np.mean([getattr(score, figure) for score in scores]))

    strong = np.mean([score.sure / max(score.there, 1) for score in scores])
    return (
        f"| {name} | {mean('recall'):.1%} | {mean('precision'):.1%} | {mean('false_hits'):.2f} | {strong:.1%} "
        f"| {mean('certainty'):.2%} | {mean('mean_precision'):.3f} |".replace("nan", "")
    )


def photos(folder: Path, revision: int) -> dict[int, dict[str, Score]]:
    """Measure precision and recall on portraits and group photos, by template size and person."""
    model = open_model("embedded", choose_runtime("cpu"), revision)
    who = json.loads((folder / "groups/who.json").read_text())
    portraits: dict[str, list[Probe]] = defaultdict(list)
    shown: dict[str, set[str]] = {name: set(truth["people"]) for name, truth in who.items()}
    for path in sorted((folder / "portraits").glob("*/*")):
        portraits[path.parent.name].append(probe_faces(model, str(path))[0])
        shown[path.name] = {path.parent.name}
    scores: dict[int, dict[str, Score]] = {}
    with Store.memory(model.info) as store:
        refresh(store, model, [folder / "portraits", folder / "groups"])
        for size in SIZES:
            scores[size] = {
                person: _asked_about(store, person, [template(chosen) for chosen in combinations(own, size)], shown)
                for person, own in portraits.items()
            }
            show(f"Asked with {size} portrait{'s' * (size > 1)} at a time, default threshold", scores[size])
    return scores


def _asked_about(store: Store, person: str, probes: Sequence[Probe], shown: Shown) -> Score:
    score = Score()
    threshold = store.model.threshold
    everywhere = {name for name, people in shown.items() if person in people}
    for answer in find_all(LocalGallery(store), probes, Want(threshold=RANKED_FROM)):
        answer.hits[:] = [hit for hit in answer.hits if not hit.is_query]
        used = {Path(path).name for path in answer.probe.paths}
        right = [person in shown[Path(hit.face.path.decode()).name] for hit in answer.hits]
        score.add(answer, right, len(everywhere - used), threshold)
    return score


def folders(folder: Path, revision: int) -> dict[str, list[str]]:
    """Return the test photos found with a template of all training photos, per person."""
    model = open_model("embedded", choose_runtime("cpu"), revision)
    found: dict[str, list[str]] = {}
    with Store.memory(model.info) as store:
        refresh(store, model, [folder / "test"])
        print("| person | photos | found in test |\n| --- | ---: | --- |")
        for person in sorted((folder / "train").iterdir()):
            seen = [probe_faces(model, str(path)) for path in sorted(person.iterdir())]
            (answer,) = find_all(
                LocalGallery(store), [template(pick_by_others(seen))], Want(threshold=store.model.threshold)
            )
            found[person.name] = [Path(hit.face.path.decode()).name for hit in answer.hits]
            told = [
                f"{name} ({hit.similarity:.2f}, {hit.verdict})"
                for name, hit in zip(found[person.name], answer.hits, strict=True)
            ]
            print(f"| {person.name} | {len(seen)} | {', '.join(told) or 'none'} |")
    return found


def people(folder: Path, revision: int, questions: int = QUESTIONS) -> dict[str, dict[str, Score]]:
    """Measure recall, false hits and certainty on labelled photos, by kind of query and person."""
    runtime = choose_runtime("cpu")
    model = open_model("embedded", runtime.shared_by(runtime.threads), revision)
    vectors, labels, names = faces_in_photos(folder, model)
    good = well_labelled(vectors, labels)
    vectors, labels = vectors[good], labels[good]
    rng = np.random.default_rng(SEED)
    scores: dict[str, dict[str, Score]] = {}
    with _library(model.info, vectors) as store:
        calibration = calibration_of(model.info)
        for size in SIZES:
            chosen = {
                person: [rng.choice(np.flatnonzero(labels == label), size, replace=False) for _ in range(questions)]
                for label, person in enumerate(names)
            }
            for title, expand in (("", False), (", expanded", True)):
                name = f"{size} photo{'s' * (size > 1)} at a time{title}"
                scores[name] = {
                    person: _asked_by_number(store, vectors, labels, chosen[person], calibration, expand=expand)
                    for person in names
                }
                show(name, scores[name])
    for size in SIZES:
        looked, blind = _strangers_to_the_table(model.info, vectors, labels, names, size, rng, questions)
        name = f"{size} photo{'s' * (size > 1)} at a time, people that the table does not know"
        for title, found in ((name, looked), (f"{name}, ignoring look-alikes", blind)):
            scores[title] = found
            show(title, found)
    return scores


def _library(model: ModelInfo, vectors: Vectors) -> Store:
    """Make a store with one photo per crop, named by its number."""
    store = Store.memory(model)
    with store.transaction():
        root = store.catalog.roots.add(b"/crops")
        detection = Detection(Box(0, 0, 112, 112), TEMPLATE.astype(np.float32), 0.9)
        for number, vector in enumerate(vectors):
            photo = store.catalog.photos.put(
                root.id, PhotoFile(b"%d" % number, 1, 0), None, "faces", facts=PhotoFacts(112, 112)
            )
            store.catalog.faces.replace(photo, [Face(detection, vector)])
    return store


def _probe(vectors: Vectors) -> Probe:
    mean = vectors.sum(axis=0)
    face = Face(Detection(Box(0, 0, 112, 112), TEMPLATE.astype(np.float32), 0.9), mean / np.linalg.norm(mean))
    first = Probe("", 1, 1, face)
    return Probe("", 1, 1, face, others=(first,) * (len(vectors) - 1))


def _asked_by_number(
    store: Store,
    vectors: Vectors,
    labels: Labels,
    chosen: Sequence[NDArray[np.int64]],
    calibration: Calibration,
    *,
    expand: bool = False,
) -> Score:
    score, threshold = Score(), store.model.threshold
    want = Want(threshold=RANKED_FROM, expand=expand)
    answers = find_all(LocalGallery(store), [_probe(vectors[own]) for own in chosen], want, calibration)
    for own, answer in zip(chosen, answers, strict=True):
        numbers = [int(Path(hit.face.path.decode()).name) for hit in answer.hits]
        used = set(own.tolist())
        kept = [row for row, number in enumerate(numbers) if number not in used]
        right = [bool(labels[numbers[row]] == labels[own[0]]) for row in kept]
        there = int((labels == labels[own[0]]).sum()) - len(used)
        answer.hits[:] = [answer.hits[row] for row in kept]
        score.add(answer, right, there, threshold)
    return score


def _strangers_to_the_table(
    info: ModelInfo,
    vectors: Vectors,
    labels: Labels,
    people: Sequence[str],
    size: int,
    rng: np.random.Generator,
    questions: int,
) -> tuple[dict[str, Score], dict[str, Score]]:
    """Query for each person with a table measured on all others; `FEW` own photos are among those of the others.

    Returns two results: with verdicts as usual, and with verdicts that ignore how many other faces come near.
    """
    looked: dict[str, Score] = defaultdict(Score)
    blind: dict[str, Score] = defaultdict(Score)
    for label, person in enumerate(people):
        others = np.flatnonzero(labels != label)
        renumbered = np.unique(labels[others], return_inverse=True)[1]
        calibration = read_calibration(measured(vectors[others], renumbered, info, SIZES))
        for _question in range(questions):
            own = rng.choice(np.flatnonzero(labels == label), size + FEW, replace=False)
            mean = vectors[own[:size]].sum(axis=0)
            # Making a store per query would cost more than the query, so the search is done here.
            found = vectors[np.concatenate([own[size:], others])] @ (mean / np.linalg.norm(mean))
            nearest = np.sort(found)[::-1][:1024].tolist()
            for score, near in ((looked[person], nearest), (blind[person], [])):
                _judged(score, Judge(calibration, size, len(found), near), found, info.threshold)
    return looked, blind


def _judged(score: Score, judge: Judge, found: Vectors, threshold: float) -> None:
    """Add the result of one query to the score; the first `FEW` faces are the right ones."""
    score.questions += 1
    score.there += FEW
    for number in np.flatnonzero(found >= threshold - BELOW).tolist():
        is_right, similarity = number < FEW, float(found[number])
        if similarity >= threshold:
            score.right += is_right
            score.wrong += not is_right
        if judge.verdict(similarity) is Verdict.strong:
            score.sure += is_right
            score.sure_wrong += not is_right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["photos", "folders", "people"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="queries per person, of `people`")
    parser.add_argument("--revision", type=int, nargs="+", default=[LATEST_REVISION])
    arguments = parser.parse_args()
    for number in arguments.revision:
        print(f"\nrevision {number}")
        if arguments.what == "photos":
            photos(arguments.folder, number)
        elif arguments.what == "folders":
            folders(arguments.folder, number)
        else:
            people(arguments.folder, number, arguments.questions)
