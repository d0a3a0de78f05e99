"""The registry of models: entries persist until they are deleted, and names cannot point outside."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from facesearch.errors import ModelError, StorageError, UsageError
from facesearch.models.packs import registry
from facesearch.models.packs.known import KNOWN_PACKS, known_pack
from facesearch.models.packs.record import PackRecord, faults_of, file_digest, graph_digests, read_record
from facesearch.models.packs.registry import (
    AddedPack,
    Registry,
    change_registry,
    read_registry,
    registry_path,
    require_name,
)
from facesearch.settings import write_json


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = registry_path()
    assert path is not None
    assert path == tmp_path / "data/facesearch/models.json"
    return path


def test_known_packs_are_complete_and_distinct() -> None:
    assert len({pack.name for pack in KNOWN_PACKS}) == len(KNOWN_PACKS)
    archives = [pack.sha256 for pack in KNOWN_PACKS if pack.sha256 is not None]
    assert len(set(archives)) == len(archives) == 5
    for pack in KNOWN_PACKS:
        assert require_name(pack.name) == pack.name
        assert known_pack(pack.name) is pack
        assert pack.url == f"https://github.com/deepinsight/insightface/releases/download/model-zoo/{pack.name}.zip"
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in (pack.sha256 or "0" * 64, *pack.heads.values()))
        assert len(pack.heads) == (1 if pack.sha256 is None else 2)
        assert 10**7 < pack.download < 10**9
        assert all(0 < figure < 100 for figure in pack.accuracy.values())
    assert known_pack("nonsense") is None


def test_nothing_is_written_by_looking(tmp_path: Path) -> None:
    assert read_registry() == Registry()
    assert not (tmp_path / "data").exists()


def test_what_is_kept_is_read_back(kept: Path, tmp_path: Path) -> None:
    pack = AddedPack(tmp_path / "odd \udce4 name", {"a.onnx": "0" * 64})
    change_registry(lambda old: Registry({**old.added, "mine": pack}, "mine"))
    assert read_registry() == Registry({"mine": pack}, "mine")
    change_registry(lambda old: replace(old, default=None))
    assert read_registry() == Registry({"mine": pack})
    assert [path.name for path in kept.parent.iterdir()] == ["models.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 1, "default": null, "models": []}',
        '{"version": 1, "default": null, "models": {"x": 3}}',
        '{"version": 1, "default": null, "models": {"x": {"folder": "/x", "digests": {"/etc/passwd": "0"}}}}',
        '{"version": "1", "default": null, "models": {}}',
        "\udcff",
    ],
)
def test_a_damaged_registry_is_one_clear_line_and_is_not_overwritten(kept: Path, text: str) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"models\.json: damaged; delete it, and register"):
        read_registry()
    with pytest.raises(ModelError, match="damaged"):
        change_registry(lambda _: Registry())
    assert kept.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_newer_registry_is_left_alone(kept: Path) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"version": 2, "everything": "else"}))
    with pytest.raises(ModelError, match="written by a newer facesearch"):
        read_registry()


def test_changes_at_the_same_time_do_not_lose_each_other(tmp_path: Path) -> None:
    def register(number: int) -> None:
        change_registry(lambda old: Registry({**old.added, f"m{number}": AddedPack(tmp_path, {})}, old.default))

    threads = [threading.Thread(target=register, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_registry().added) == 8


def test_a_registry_that_cannot_be_written(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match=r"models\.json: cannot be written"):
        change_registry(lambda old: old)
    assert read_registry() == Registry()
    monkeypatch.setattr(registry, "registry_path", lambda: None)
    assert read_registry() == Registry()
    with pytest.raises(StorageError, match="no home folder"):
        change_registry(lambda old: old)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/a", "-x", "embedded", "é", "a b", "x" * 65, "a\n"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a pack"):
        require_name(name)


def test_every_difference_is_a_fault(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    for name in ("a.onnx", "b.onnx", "c.txt"):
        (pack / name).write_text(name)
    digests = {path.name: file_digest(path) for path in pack.iterdir()}
    assert faults_of(pack, digests) == []
    assert graph_digests(pack) == {name: digests[name] for name in ("a.onnx", "b.onnx")}
    (pack / "a.onnx").write_text("other")
    (pack / "b.onnx").unlink()
    (pack / "d.onnx").touch()
    assert faults_of(pack, digests) == [
        f"{pack}/a.onnx: changed, its checksum is wrong",
        f"{pack}/b.onnx: not found",
        f"{pack}/d.onnx: not part of the pack",
    ]
    assert faults_of(pack, {}, others=True) == []
    assert faults_of(tmp_path / "gone", digests) == [f"{tmp_path}/gone: not found"]


def test_a_record_is_read_back(tmp_path: Path) -> None:
    record = PackRecord(name="x", source="u", sha256="0", licence="l", installed="now", digests={"a/b.onnx": "1"})
    assert read_record(tmp_path) is None
    write_json(tmp_path / "facesearch.json", record.as_json())
    assert read_record(tmp_path) == record
