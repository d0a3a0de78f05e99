"""Calibration: properties of the tables, and of the verdicts derived from them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from conftest import toy_model_info
from hypothesis import given
from hypothesis import strategies as st

from facesearch.calibration.storage import calibration_of, keep_calibration, own_calibration_path, shipped_calibration
from facesearch.calibration.table import DEFAULT_FMR, LEAST_FMR, Calibration
from facesearch.calibration.verdict import Judge
from facesearch.errors import InputError, StorageError
from facesearch.evaluation.fit import measured, well_labelled
from facesearch.models import bundled
from facesearch.models.packs.known import known_pack
from facesearch.settings import EMBEDDED_THRESHOLD
from facesearch.types import Verdict

SHIPPED = shipped_calibration(bundled.model_info())
assert SHIPPED is not None
TABLE: Calibration = SHIPPED
ORDER = list(Verdict)

similarities = st.floats(-1, 1, allow_nan=False)
sizes = st.integers(1, 30)


def order(verdict: Verdict) -> int:
    return ORDER.index(verdict)


def test_the_models_threshold_is_at_its_false_match_rate() -> None:
    """The threshold that every user gets is stated once, and is what was measured."""
    for revision, threshold in bundled.THRESHOLDS.items():
        table = shipped_calibration(bundled.model_info(revision))
        assert table is not None
        assert table.threshold == threshold == bundled.model_info(revision).threshold
        assert table.similarity_at(DEFAULT_FMR) == pytest.approx(threshold, abs=0.01)
    assert bundled.THRESHOLDS[max(bundled.THRESHOLDS)] == EMBEDDED_THRESHOLD
    assert TABLE.similarity_at(DEFAULT_FMR) == pytest.approx(EMBEDDED_THRESHOLD, abs=0.005)


def test_the_table_agrees_with_strangers_in_whole_photos() -> None:
    """Measured on 90 faces of 25 other people in photos with all that surrounds a face, 3,764 pairs of strangers."""
    for similarity, rate in ((0.25, 0.031), (0.29, 0.012), (0.35, 5.4e-4)):
        assert abs(math.log10(TABLE.fmr(similarity)) - math.log10(rate)) < 0.35


def test_each_person_left_out_meets_the_threshold_of_all_others() -> None:
    """The same figures as from a table measured without the person, and from plain comparisons."""
    vectors, labels = people(6, 40, spread=0.9)
    good = well_labelled(vectors, labels)
    vectors, labels = vectors[good], labels[good]
    info = toy_model_info(dim=32)
    (told,) = measured(vectors, labels, info, [1])["people_left_out"]
    found, mistaken, thresholds = [], [], []
    for person in range(6):
        own, others = labels == person, labels != person
        table = measured(vectors[others], np.unique(labels[others], return_inverse=True)[1], info, [1])
        logs = np.array(table["curves"][0]["log10_fmr"])
        threshold = table["similarity"][int(np.flatnonzero(logs <= -4)[0])]
        scores = vectors[own] @ vectors.T
        same = scores[:, own][~np.eye(own.sum(), dtype=bool)]
        found.append((same >= threshold).mean())
        mistaken.append((scores[:, others] >= threshold).mean())
        thresholds.append(threshold)
    assert told["tmr"] == pytest.approx(np.mean(found), abs=0.002)
    assert told["tmr_worst_person"] == pytest.approx(min(found), abs=0.002)
    assert told["fmr"] == pytest.approx(np.mean(mistaken), rel=0.06, abs=1e-6)
    assert told["fmr_worst_person"] == pytest.approx(max(mistaken), rel=0.06, abs=1e-6)
    assert told["similarity"] == [min(thresholds), max(thresholds)]
    assert 0 < told["tmr_worst_person"] < told["tmr"] < 1


def test_new_people_are_told_what_people_left_out_had() -> None:
    assert [TABLE.found[photos] for photos in (1, 3)] == pytest.approx([0.82, 0.97], abs=0.01)
    assert all(TABLE.found[photos] <= TABLE.tmr(TABLE.threshold, photos) + 0.01 for photos in TABLE.found)


@given(similarities, similarities, sizes)
def test_rates_fall_as_the_similarity_rises(one: float, other: float, photos: int) -> None:
    low, high = sorted((one, other))
    assert 0 <= TABLE.fmr(high, photos) <= TABLE.fmr(low, photos) <= 1
    assert 0 <= TABLE.tmr(high, photos) <= TABLE.tmr(low, photos) <= 1
    below, above = TABLE.interval(low, photos)
    assert below <= above


@given(st.floats(-9, -0.2), sizes)
def test_similarity_at_a_rate_is_the_rates_inverse(exponent: float, photos: int) -> None:
    similarity = TABLE.similarity_at(10**exponent, photos)
    assert TABLE.fmr(similarity, photos) <= 10**exponent * 1.01
    if TABLE.similarity[0] < similarity < 1:
        assert TABLE.fmr(similarity - 0.011, photos) > 10**exponent * 0.99


@given(similarities, similarities, st.integers(0, 10**7), sizes, st.lists(similarities, max_size=50))
def test_verdicts_never_grow_surer_with_less_similarity(
    one: float, other: float, searched: int, photos: int, nearest: list[float]
) -> None:
    low, high = sorted((one, other))
    judge = Judge(TABLE, photos, searched, sorted(nearest, reverse=True))
    assert order(judge.verdict(high)) <= order(judge.verdict(low))
    assert judge.excess >= 1


@given(similarities, st.integers(1, 10**7), st.integers(1, 10**7), sizes)
def test_verdicts_never_grow_surer_in_a_larger_library(one: float, small: int, large: int, photos: int) -> None:
    small, large = sorted((small, large))
    assert order(Judge(TABLE, photos, small).verdict(one)) <= order(Judge(TABLE, photos, large).verdict(one))


@given(similarities, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_poor_pictures_never_make_a_verdict_surer(one: float, probe: float, poor: float, good: float) -> None:
    poor, good = sorted((poor, good))
    judge = Judge(TABLE, 1, 5000, quality=probe)
    assert order(judge.verdict(one, good)) <= order(judge.verdict(one, poor))


def test_two_blurred_faces_are_less_sure_than_a_sharp_one_and_a_blurred() -> None:
    similarity = TABLE.similarity_at(1.8e-7)
    verdicts = [Judge(TABLE, 1, 5000, quality=probe).verdict(similarity, 0.1) for probe in (0.9, 0.1)]
    assert verdicts == [Verdict.strong, Verdict.possible]


def test_many_look_alikes_make_a_verdict_less_sure() -> None:
    """The library has look-alikes of the query: many photos come near, but not near enough to be hits."""
    own, near = TABLE.similarity_at(3e-8), TABLE.similarity_at(2e-4)
    alone = Judge(TABLE, 1, 5000, [own])
    assert alone.verdict(own) is Verdict.strong
    assert Judge(TABLE, 1, 5000, [own] + [near] * 20).verdict(own) is Verdict.likely
    assert Judge(TABLE, 1, 5000, [own] + [near] * 400).verdict(own) is Verdict.possible


def test_the_persons_own_photos_are_no_look_alikes() -> None:
    """The photos that no stranger resembles predict how many less similar photos of the person there are."""
    share = [TABLE.tmr(similarity) - TABLE.tmr(similarity + 0.01) for similarity in np.arange(0.3, 1, 0.01)]
    counts = (np.array(share) * 500).round().astype(int)
    own = sorted(np.repeat(np.arange(0.3, 1, 0.01), counts).tolist(), reverse=True)
    assert Judge(TABLE, 1, 5000, own).excess < 3
    assert Judge(TABLE, 1, 5000, [similarity for similarity in own if similarity < 0.6]).excess > 20


def test_the_same_picture_is_strong_despite_look_alikes() -> None:
    """Reported rates end at 1e-9; verdicts use the rest of the curve."""
    crowded = Judge(TABLE, 1, 5000, [0.97] + [0.45] * 200)
    assert crowded.excess > 10
    assert crowded.fmr(0.97) == LEAST_FMR
    assert crowded.verdict(0.97) is Verdict.strong


def test_expected_false_hits_are_the_rate_times_the_faces() -> None:
    judge = Judge(TABLE, 3, 20_000, [0.5] * 10)
    assert judge.expected_false_hits(0.5) == pytest.approx(TABLE.fmr(0.5, 3) * 20_000)
    assert Judge(TABLE, 3, 10).expected_false_hits(0.5) == pytest.approx(TABLE.fmr(0.5, 3) * 1000), "as verdicts"
    assert [Judge(TABLE, 1, count).verdict(TABLE.similarity_at(9e-5)) for count in (10, 2000, 10**6)] == [
        Verdict.likely, Verdict.possible, Verdict.unlikely,
    ]  # fmt: skip


@given(similarities, st.integers(1, 10**7))
def test_verdicts_agree_with_the_expected_false_hits(similarity: float, count: int) -> None:
    judge = Judge(TABLE, 1, count)
    expected = judge.expected_false_hits(similarity)
    assert expected is not None
    limits = {Verdict.strong: 0.001, Verdict.likely: 0.1, Verdict.possible: 10.0}
    surest = next((verdict for verdict, limit in limits.items() if expected <= limit), Verdict.unlikely)
    if expected > LEAST_FMR * max(count, 1000):  # below that, the verdict uses a rate that is not reported
        assert judge.verdict(similarity) is surest


def test_a_model_that_was_never_measured_has_no_rates() -> None:
    guess = calibration_of(toy_model_info(threshold=0.4))
    assert not guess.measured
    assert guess.origin == "not measured"
    judge = Judge(guess, 1, 10)
    assert judge.verdict(1.0) is Verdict.possible, "the best verdict without a measurement"
    assert judge.verdict(0.0) is Verdict.unlikely
    assert (judge.fmr(1.0), judge.interval(1.0), judge.expected_false_hits(1.0)) == (None, None, None)
    assert not guess.is_extrapolated(1.0)
    assert Judge(TABLE, 1, 10).interval(0.5) == TABLE.interval(0.5)


def test_a_guess_rests_on_what_its_maker_has_published() -> None:
    """InsightFace published one point for the recogniser of buffalo_l and buffalo_m: 0.408 at FMR 1e-6, TMR 91.2 %."""
    for name in ("buffalo_l", "buffalo_m"):
        pack = known_pack(name)
        assert pack is not None
        guess = calibration_of(toy_model_info(name, 512, digests=pack.heads, threshold=0.4))
        assert not guess.measured
        assert guess.origin == "not measured; its maker has published one point, similarity 0.408 at FMR 1e-6"
        assert guess.fmr(0.408) == pytest.approx(1e-6, rel=0.1)
        assert guess.tmr(0.41) == pytest.approx(0.912)
        assert guess.threshold == pytest.approx(0.32, abs=0.005), "FMR 1e-4, as for every model"
        assert Judge(guess, 1, 10).verdict(0.9) is Verdict.likely
        assert Judge(guess, 1, 10).expected_false_hits(0.9) is None
    other = known_pack("antelopev2")
    assert other is not None
    silent = calibration_of(toy_model_info("antelopev2", 512, digests=other.heads, threshold=0.4))
    assert (silent.origin, silent.surest) == ("not measured", Verdict.possible)


def test_the_normal_law_of_guesses_holds_for_the_model_that_was_measured() -> None:
    for rate in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        law = 0.08 + 0.09 * NormalDist().inv_cdf(1 - rate)
        assert TABLE.similarity_at(rate) == pytest.approx(law, abs=0.02)


def people(count: int, faces: int, spread: float = 0.5, dim: int = 32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    centres = rng.normal(size=(count, dim))
    vectors = np.repeat(centres, faces, axis=0) + spread * rng.normal(size=(count * faces, dim))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), np.repeat(np.arange(count), faces)


def test_wrong_labels_are_found() -> None:
    vectors, labels = people(5, 40)
    wrong = labels.copy()
    wrong[[3, 77]] = [2, 4]
    assert np.flatnonzero(~well_labelled(vectors, wrong)).tolist() == [3, 77]
    assert well_labelled(vectors, labels).all()


def test_a_table_agrees_with_counting() -> None:
    vectors, labels = people(6, 50, spread=0.9)
    table = measured(vectors, labels, toy_model_info())
    scores = vectors @ vectors.T
    strangers = scores[labels[:, None] != labels]
    at = table["similarity"].index(0.3)
    assert 10 ** table["curves"][0]["log10_fmr"][at] == pytest.approx((strangers >= 0.3).mean(), rel=0.01)
    same = scores[(labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)]
    assert table["curves"][0]["tmr"][at] == pytest.approx((same >= 0.3).mean(), abs=0.001)
    assert [curve["photos"] for curve in table["curves"]] == [1, 2, 3, 5, 10]
    for curve in table["curves"]:
        assert curve["log10_fmr"] == sorted(curve["log10_fmr"], reverse=True)
        assert all(low <= high for low, high in zip(curve["log10_fmr_low"], curve["log10_fmr_high"], strict=True))
    assert min(table["curves"][0]["log10_fmr"]) < -7, "extrapolated beyond the counted rates"


def test_too_few_people_are_no_calibration() -> None:
    with pytest.raises(InputError, match=r"2 people with 4 or more .* needs 3"):
        measured(*people(2, 20), toy_model_info())
    with pytest.raises(InputError, match="0 people"):
        measured(np.empty((0, 8), np.float32), np.empty(0, np.int64), toy_model_info())


def test_what_the_user_has_measured_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    model = toy_model_info("pack", dim=32)
    assert not calibration_of(model).measured
    path = keep_calibration(model, measured(*people(6, 50, spread=0.9), model))
    assert path == own_calibration_path(model)
    mine = calibration_of(model)
    assert mine.people == 6
    assert mine.threshold is not None
    assert mine.fmr(mine.threshold) == pytest.approx(DEFAULT_FMR, rel=0.05)
    assert not calibration_of(toy_model_info("other", dim=32)).measured, "another model"
    assert calibration_of(replace(model, name="ours")).people == 6, "the same model under another name"
    assert own_calibration_path(replace(model, name="ours")) == path
    path.write_text(path.read_text()[:100])
    broken = calibration_of(model)
    assert not broken.measured
    assert broken.note is not None
    assert "unreadable and not used" in broken.note
    table = measured(*people(6, 50), model)
    path.write_text(json.dumps({**table, "digests": ["other"]}))
    assert "belongs to another model" in (calibration_of(model).note or "")
    curve = table["curves"][0]
    damages: tuple[dict[str, object], ...] = (
        {"curves": []}, {"people": 1e999}, {"people": -3}, {"similarity": []}, {"curves": [{**curve, "tmr": []}]},
        {"curves": [{**curve, "tmr": [5.0] * len(curve["tmr"])}]}, {"curves": [curve, {**curve, "photos": -5}]},
        {"curves": [{**curve, "log10_fmr": [0.0] * len(curve["log10_fmr"])}]},
        {"curves": [{**curve, "log10_fmr_high": [500.0] * len(curve["log10_fmr"])}]},
    )  # fmt: skip
    for damage in damages:
        path.write_text(json.dumps({**table, **damage}))
        assert "unreadable and not used" in (calibration_of(model).note or ""), damage
    path.write_text("[" * 200_000)
    assert "unreadable and not used" in (calibration_of(model).note or "")


def test_a_calibration_that_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "facesearch").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(StorageError, match="cannot be written"):
        keep_calibration(toy_model_info(), {"people": 3})
