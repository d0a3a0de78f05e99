"""Real photos of eight people: is everybody found, and nobody else taken for them."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Run


def test_everybody_is_found_among_portraits_and_groups(facesearch: Run, real_photos: Path, tmp_path: Path) -> None:
    portraits = sorted((real_photos / "bbt/portraits").glob("*/*"))
    report = json.loads(facesearch("index", real_photos / "bbt", "--index", "ix", "-q", "-f", "json").stdout)
    assert (report["photos"], report["failed"], report["no_face"]) == (45, 0, 0)
    assert report["faces"] >= 40 + 22
    right, found, wrong = 0, 0, 0
    for portrait in portraits:
        person = portrait.parent.name
        answer = facesearch("query", portrait, "--index", "ix", "-k", "45", "-f", "jsonl", "-q").stdout
        hits = [json.loads(line) for line in answer.splitlines()]
        assert hits[0]["path"] == str(portrait)
        assert hits[0]["similarity"] > 0.999
        others = [hit for hit in hits[1:] if "portraits" in hit["path"]]
        right += Path(others[0]["path"]).parent.name == person
        for hit in others:
            if hit["above_threshold"]:
                found += Path(hit["path"]).parent.name == person
                wrong += Path(hit["path"]).parent.name != person
    assert right == 40, "rank-1, the query itself left out"
    assert wrong == 0, "at the default threshold"
    assert found >= 150, "of 160 other portraits of the same person"


def test_photos_turned_on_their_side_are_found(facesearch: Run, real_photos: Path, tmp_path: Path) -> None:
    folder = real_photos / "misc/res/bulk"
    for turned in ("r0", "r90", "r180", "r270"):
        answer = facesearch("scan", folder / f"{turned}.jpg", *(folder / f"r{turn}.jpg" for turn in (0, 90, 180, 270)))
        assert len(answer.stdout.splitlines()) == 1 + 4, turned
