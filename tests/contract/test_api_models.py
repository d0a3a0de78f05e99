"""Models through the API: register, verify, choose, remove, pull and measure."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from own_pack import make_pack, make_pack_with, random_recogniser

from facesearch import Hint, InputError, ModelError, UsageError, observing
from facesearch.api import measure, models
from facesearch.calibration.storage import calibration_of
from facesearch.models.resolve import model_info


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who has never used facesearch."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_DATA_HOME", "FACESEARCH_MODEL", "INSIGHTFACE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_a_pack_is_registered_chosen_and_forgotten(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "mine")
    added = models.add_pack(pack)
    assert added == ("mine", pack, 128, added.graphs, True)
    assert len(added.graphs) == 2
    assert not models.add_pack(pack).is_new
    with pytest.raises(UsageError, match="taken") as taken:
        models.add_pack(make_pack(tmp_path / "another"), "mine")
    assert (taken.value.hint, taken.value.values) == (Hint.ANOTHER_NAME, {"name": "mine"})
    assert "remove the model mine first" in str(taken.value)
    assert models.default_model() == "embedded"
    models.use("mine")
    assert models.default_model() == "mine"
    assert [one.state for one in models.list_models() if one.name == "mine"] == ["added"]
    assert [one.faults for one in models.verify("mine")] == [[]]
    gone = models.remove_pack("mine")
    assert (gone.files, gone.was_default, gone.folder) == (None, True, pack)
    assert models.default_model() == "embedded"
    assert list(pack.glob("*.onnx")), "its files are kept"


def test_what_is_no_pack_is_not_registered(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        models.add_pack(tmp_path / "none")
    make_pack_with(tmp_path / "random", random_recogniser(3))
    with pytest.raises(ModelError, match=r"does not tell people apart.*; not registered"):
        models.add_pack(tmp_path / "random")
    with pytest.raises(ModelError, match="no model 'random'") as unknown:
        models.use("random")
    assert unknown.value.hint is Hint.BRING_MODEL
    models.use("embedded")
    models.use(None)
    assert models.default_model() == "embedded"


def test_a_pulled_pack_is_deleted_once_that_is_confirmed(tmp_path: Path, home: Path) -> None:
    archive = tmp_path / "pack.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for graph in make_pack(tmp_path / "source").glob("*.onnx"):
            file.write(graph, graph.name)
    shown: list[models.Licence] = []

    def refuse(licence: models.Licence) -> bool:
        shown.append(licence)
        return False

    with pytest.raises(UsageError, match="not accepted; nothing was downloaded"):
        models.pull("mine", source=str(archive), accept=refuse)
    assert [(licence.pack, licence.url) for licence in shown] == [("mine", None)]
    with pytest.raises(UsageError, match="'mine': unknown pack") as unknown:
        models.pull("mine", accept=refuse)
    assert unknown.value.hint is Hint.SOURCE
    pulled = models.pull("mine", source=str(archive), accept=lambda _licence: True)
    assert pulled == (home / ".insightface/models/mine", True)
    assert models.pull("mine", source="none.zip", accept=refuse) == (pulled.folder, False)

    def keep(going: models.Removal) -> None:
        raise UsageError(f"{going.files} files")

    assert models.to_remove("mine").files == 2
    with pytest.raises(UsageError, match="2 files"):
        models.remove_pack("mine", confirm=keep)
    assert pulled.folder.is_dir()
    models.remove_pack("mine", confirm=lambda going: None)
    assert not pulled.folder.exists()
    with pytest.raises(ModelError) as gone:
        models.to_remove("mine")
    assert gone.value.hint is Hint.LIST_MODELS
    with pytest.raises(UsageError, match="is part of facesearch"):
        models.to_remove("embedded")


def test_the_better_table_counts(tmp_path: Path, people: Path) -> None:
    """For the embedded model the shipped table beats six people made from one photo; a pack has no other table."""
    told: list[str] = []
    (people / "ada/broken.png").write_bytes(b"no picture")
    own = measure.calibrate(people, model="embedded", device="cpu", observer=observing(notes=told.append))
    assert own is not None
    assert (own.people, own.on_few_people, own.kept) == (6, True, None)
    assert (own.shipped_people or 0) > 6
    assert [line.endswith("; skipped") for line in told] == [True]
    pack = str(make_pack(tmp_path / "mine"))
    tried = measure.calibrate(people, model=pack, device="cpu", keep=False)
    assert tried is not None
    assert (tried.kept, tried.shipped_people) == (None, None)
    kept = measure.calibrate(people, model=pack, device="cpu")
    assert kept is not None
    assert kept.kept is not None
    assert json.loads(kept.kept.read_text())["people"] == 6
    assert calibration_of(model_info(pack)).people == 6
    assert measure.calibrate(people, model=pack, device="cpu", observer=observing(cancelled=lambda: True)) is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="make one folder per person"):
        measure.calibrate(tmp_path / "empty", model=pack, device="cpu")


def test_models_side_by_side(tmp_path: Path, people: Path, home: Path) -> None:
    installed = home / ".insightface/models/mine"
    make_pack(installed)
    both = measure.compare_models(people, device="cpu")
    assert [one.model for one in both] == ["embedded", "mine"]
    assert all(one.rank1 > 0.9 for one in both)
    recogniser = max(installed.glob("*.onnx"), key=lambda graph: graph.stat().st_size)
    recogniser.write_bytes(b"no graph")
    told: list[str] = []
    alone = measure.compare_models(people, device="cpu", observer=observing(notes=told.append))
    assert [one.model for one in alone] == ["embedded"]
    with pytest.raises(ModelError):
        measure.compare_models(people, ["mine"], device="cpu")
    assert measure.compare_models(people, device="cpu", observer=observing(cancelled=lambda: True)) == []
    with pytest.raises(InputError, match="no such folder"):
        measure.compare_models(tmp_path / "none", device="cpu")


def test_doctor_looks_at_the_index_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {finding.about: finding for finding in models.doctor(tmp_path / "none")}
    assert found["index"].found == f"none at {tmp_path / 'none'}"
    monkeypatch.setenv("FACESEARCH_INDEX", str(tmp_path / "named"))
    found = {finding.about: finding for finding in models.doctor()}
    assert found["index"].found == f"none at {tmp_path / 'named'}"
