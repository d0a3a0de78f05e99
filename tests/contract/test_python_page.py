"""The code on the documentation page about Python runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from sample_library import FACES_IN_T1, shipped_photo

PAGE = Path(__file__).parents[2] / "docs/python.md"


@pytest.fixture
def folder(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos used on the page."""
    shutil.copytree(library / "photos/portraits", tmp_path / "photos")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    shipped_photo("t1").save(tmp_path / "party.jpg")
    (tmp_path / "photos/private").mkdir()
    shutil.copy(tmp_path / "party.jpg", tmp_path / "photos/private/party.jpg")
    left, top, width, height = FACES_IN_T1["bea"]
    around = (left - width // 2, top - height // 2, left + width * 3 // 2, top + height * 3 // 2)
    shipped_photo("t1").crop(around).save(tmp_path / "you.jpg")
    shipped_photo("astronaut").save(tmp_path / "me too.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL), start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    told = capsys.readouterr().out
    assert len(names["result"]) > 0
    assert all(hit.reaches(names["result"].threshold) for hit in names["result"])
    assert len(names["nearest"].answers[0].hits) >= 5
    assert len(names["everyone"]) > len(names["result"])
    assert names["health"].faults == []
    assert not list((folder / "faces").glob("*.tmp"))
    assert "no index at nowhere" in told
    assert names["report"].stopped
