"""`facesearch models`: from an empty home to a pack that is used, checked and removed. No network is used."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, start_process
from own_pack import make_pack, make_pack_with, random_recogniser, unknown_recogniser

from facesearch.models import bundled

ACCEPTED = ("--accept-licence", "--from")


def packed(pack: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as stream:
        for path in sorted(pack.iterdir()):
            stream.write(path, f"{pack.name}/{path.name}")
    return archive


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a working pack, because packs are tested on faces before they are installed or registered."""
    folder = make_pack(tmp_path_factory.mktemp("packs") / "tiny")
    (folder / "det_yunet.onnx").rename(folder / "det.onnx")
    (folder / "w_sface.onnx").rename(folder / "rec.onnx")
    return folder


@pytest.fixture(scope="module")
def archive(pack: Path) -> Path:
    return packed(pack, pack.parent / "tiny.zip")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "home/.insightface/models"


@pytest.fixture
def stalling(archive: Path) -> Iterator[str]:
    """The address of a server that stalls after half of the archive, and sends all of it the second time."""
    body, again, release = archive.read_bytes(), threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.send_response(206 if start else 200)
            self.send_header("ETag", '"it"')
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            self.wfile.write(body[start : None if again.is_set() else len(body) // 2])
            self.wfile.flush()
            if not again.is_set():
                again.set()
                release.wait(30)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/tiny.zip"
    release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def listed(facesearch: Run, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(facesearch("models", "list", "-f", "json", **options).stdout)
    return {**answer, "models": {model["name"]: model for model in answer["models"]}}


def test_the_list_in_an_empty_home(facesearch: Run, tmp_path: Path) -> None:
    table = facesearch("models", "list").stdout
    assert [line.split()[0] for line in table.splitlines()[1:7]] == [
        "embedded", "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2",
    ]  # fmt: skip
    assert "non-commercial research" in table
    notes = dict(re.findall(r"^(\[\d\]) accuracy in per cent, from (.*)$", table, re.MULTILINE))
    rows = {line.split()[0]: re.findall(r"\[\d\]", line) for line in table.splitlines()[1:8]}
    for model, part in (("embedded", "opencv_zoo"), ("buffalo_l", "insightface/tree"), ("antelopev2", "Glint360K")):
        (mark,) = rows[model]
        assert part in notes[mark], model
    assert rows["buffalo_l"] == rows["buffalo_s"] != rows["embedded"]
    answer = listed(facesearch)
    assert answer["default"] == "embedded"
    assert answer["models"]["embedded"]["default"]
    assert answer["models"]["buffalo_l"]["state"] == "not installed"
    assert answer["models"]["buffalo_l"]["accuracy"]["LFW"] == 99.83
    assert answer["models"]["buffalo_l"]["download_bytes"] == 288_621_354
    assert list((tmp_path / "home").iterdir()) == []
    refused = facesearch("models", "list", "-f", "csv", exit_code=2)
    assert "choose table or json" in refused.stderr


def test_a_pack_from_pulling_to_removing(facesearch: Run, archive: Path, models: Path) -> None:
    pulled = facesearch("models", "pull", "tiny", *ACCEPTED, archive)
    assert pulled.stdout == ""
    assert "licence of tiny: see its maker's terms" in pulled.stderr
    assert "no checksum is known for tiny: it is trusted on first use" in pulled.stderr
    assert f"tiny is installed in {models / 'tiny'}" in pulled.stderr
    assert sorted(path.name for path in (models / "tiny").iterdir()) == ["det.onnx", "facesearch.json", "rec.onnx"]
    again = facesearch("models", "pull", "tiny", "--from", archive)
    assert "and has no faults" in again.stderr
    answer = listed(facesearch)
    entry = answer["models"]["tiny"]
    assert answer["default"] == "tiny"
    assert (entry["state"], entry["dim"], entry["pulled"], entry["path"]) == (
        "installed", 128, True, str(models / "tiny"),
    )  # fmt: skip
    assert facesearch("models", "verify").stdout == "tiny: no faults\n"
    (models / "tiny/rec.onnx").write_bytes(b"rot")
    bad = facesearch("models", "verify", exit_code=3)
    assert bad.stdout == f"fault: tiny: {models / 'tiny/rec.onnx'}: changed, its checksum is wrong\n"
    assert "faults in tiny; facesearch models remove NAME" in bad.stderr
    damaged = facesearch("models", "pull", "tiny", *ACCEPTED, archive, exit_code=3)
    assert "models remove tiny`, then pull it again" in damaged.stderr
    asked = facesearch("models", "remove", "tiny", exit_code=2, stdin=subprocess.DEVNULL)
    assert "cannot ask without a terminal; confirm with --yes" in asked.stderr
    assert (
        "would be deleted for good; nothing was changed" in facesearch("models", "remove", "tiny", "--dry-run").stderr
    )
    assert (models / "tiny").is_dir()
    facesearch("models", "remove", "tiny", "--yes")
    assert list(models.iterdir()) == []
    assert "no model 'tiny'" in facesearch("models", "remove", "tiny", exit_code=3).stderr
    assert facesearch("models", "verify").stdout == ""


@pytest.mark.thorough
def test_a_folder_is_registered_used_and_forgotten(
    facesearch: Run, pack: Path, models: Path, tmp_path: Path, library: Path
) -> None:
    mine = Path(shutil.copytree(pack, tmp_path / "my packs/v2"))
    facesearch("models", "add", "my packs/v2", "--name", "mine")
    assert "is already registered" in facesearch("models", "add", mine, "--name", "mine").stderr
    assert not models.exists()
    entry = listed(facesearch)["models"]["mine"]
    assert (entry["state"], entry["dim"], entry["path"]) == ("added", 128, str(mine))
    assert listed(facesearch)["default"] == "embedded", "registering does not change the default"
    facesearch("models", "use", "mine")
    assert listed(facesearch)["default"] == "mine"
    assert listed(facesearch, env={"FACESEARCH_MODEL": "embedded"})["default"] == "embedded"
    looked = facesearch("index", library / "photos/portraits", "--index", "ix", "--dry-run")
    assert looked.returncode == 0
    kept = facesearch("index", library / "photos/portraits", "--index", "ix", "--model", "embedded")
    assert "default" not in kept.stderr
    assert facesearch("models", "verify").stdout == "mine: no faults\n"
    (mine / "extra.onnx").write_bytes((mine / "rec.onnx").read_bytes())
    assert "extra.onnx: not part of the pack" in facesearch("models", "verify", "mine", exit_code=3).stdout
    (mine / "extra.onnx").unlink()
    gone = facesearch("models", "remove", "mine")
    assert "mine was the default" in gone.stderr
    assert sorted(path.name for path in mine.iterdir()) == ["det.onnx", "rec.onnx"]
    assert "mine" not in listed(facesearch)["models"]
    assert listed(facesearch)["default"] == "embedded"


@pytest.mark.thorough
def test_a_registered_pack_is_known_by_its_name_everywhere(
    facesearch: Run, pack: Path, tmp_path: Path, library: Path
) -> None:
    folder = Path(shutil.copytree(pack, tmp_path / "packs/v2"))
    photos, photo = library / "photos/portraits", library / "query.jpg"
    facesearch("index", photos, "--index", "ix", "--model", folder, "-q")
    assert json.loads(facesearch("status", "--index", "ix", "-f", "json").stdout)["model"] == "v2"
    facesearch("models", "add", folder, "--name", "ours")
    made = facesearch("index", photos, "--index", "ix", "--model", "ours", "--verbose")
    assert "model ours;" in made.stderr
    status = facesearch("status", "--index", "ix").stdout
    assert re.search(r"^model +ours$", status, re.MULTILINE)
    assert re.search(r"^calibration +not measured$", status, re.MULTILINE)
    told = facesearch("query", photo, "--index", "ix", "-f", "json")
    assert json.loads(told.stdout)["index"]["model"] == "ours"
    assert "the error rates of ours were never measured, so no verdict is better than possible" in told.stderr
    for hit in json.loads(told.stdout)["queries"][0]["hits"]:
        assert (hit["verdict"], hit["fmr"], hit["expected_false_hits"]) == ("possible", None, None)
    for arguments in (("query", photo, "--index", "ix"), ("compare", photo, photo, "--model", folder)):
        refused = facesearch(*arguments, "--fmr", "1e-5", exit_code=2)
        assert "--fmr 1e-05: false-match rates were never measured for ours; use --threshold" in refused.stderr
    pair = facesearch("compare", photo, photo, "--model", "ours").stdout
    assert re.search(r"^fmr +not measured$", pair, re.MULTILINE)
    facesearch("index", photos, "--index", "other", "--model", "embedded", "-q")
    refused = facesearch("index", photos, "--index", "other", "--model", folder, exit_code=3)
    assert "not with ours (128 dimensions" in refused.stderr
    assert refused.stderr.endswith("facesearch reindex --model ours\n")
    shutil.rmtree(folder)
    gone = facesearch("query", photo, "--index", "ix", exit_code=3)
    assert f"no model 'ours': {folder} is missing; unregister it with facesearch models remove ours" in gone.stderr


def test_the_default_and_settings_that_override_it(
    facesearch: Run, archive: Path, library: Path, tmp_path: Path
) -> None:
    facesearch("models", "pull", "tiny", *ACCEPTED, archive, "-q")
    facesearch("models", "use", "embedded")
    made = facesearch("index", library / "photos/portraits", "--index", "ix")
    assert "using embedded, the default set with facesearch models use; --model selects another" in made.stderr
    facesearch("models", "use", "--none")
    assert listed(facesearch)["default"] == "tiny"
    facesearch("models", "use", "tiny")
    (tmp_path / "tiny").mkdir()
    looked = facesearch("index", library / "photos/portraits", "--index", "other", "--dry-run")
    assert "not a complete pack" not in looked.stderr, "a folder with the same name is not used"
    facesearch("models", "remove", "tiny", "-y")
    assert listed(facesearch)["default"] == "embedded"
    assert "give the NAME of a model or --none" in facesearch("models", "use", exit_code=2).stderr
    assert (
        "install it with facesearch models pull or models add"
        in facesearch("models", "use", "tiny", exit_code=3).stderr
    )


def test_a_missing_default_is_not_silently_replaced(
    facesearch: Run, archive: Path, models: Path, library: Path
) -> None:
    facesearch("models", "pull", "tiny", *ACCEPTED, archive, "-q")
    facesearch("models", "use", "tiny")
    shutil.rmtree(models / "tiny")
    refused = facesearch("index", library / "photos/portraits", "--index", "ix", exit_code=3)
    assert "the default model tiny is missing; set another with facesearch models use" in refused.stderr
    assert listed(facesearch)["default"] is None
    facesearch("models", "use", "--none")
    assert listed(facesearch)["default"] == "embedded"


def test_packs_of_other_programs_are_listed_and_not_changed(facesearch: Run, pack: Path, models: Path) -> None:
    shutil.copytree(pack, models / "theirs")
    shutil.copytree(pack, models / "buffalo_s")
    answer = listed(facesearch)["models"]
    assert (answer["theirs"]["state"], answer["theirs"]["pulled"]) == ("installed", False)
    assert answer["buffalo_s"]["state"] == "installed"
    verified = facesearch("models", "verify", exit_code=3).stdout
    assert "note: theirs: not installed by facesearch" in verified
    assert f"fault: buffalo_s: {models / 'buffalo_s/w600k_mbf.onnx'}: not found" in verified
    refused = facesearch("models", "remove", "theirs", "--yes", exit_code=3)
    assert f"{models / 'theirs'}: not installed by facesearch; delete it yourself" in refused.stderr
    assert (models / "theirs/rec.onnx").exists()


def test_a_pack_that_does_not_recognise_faces_is_refused(facesearch: Run, models: Path, tmp_path: Path) -> None:
    make_pack_with(tmp_path / "random", random_recogniser(1))
    make_pack_with(tmp_path / "unknown", unknown_recogniser())
    random = facesearch("models", "add", "random", exit_code=3)
    assert re.search(r"/random: its recogniser does not tell people apart: .*; not registered$", random.stderr)
    unknown = facesearch("models", "add", "unknown", exit_code=3)
    assert "w_other.onnx: not a model that ONNX Runtime can load" in unknown.stderr
    for failed in (random, unknown):
        assert len(failed.stderr.splitlines()) == 1
    assert not {"random", "unknown"} & set(listed(facesearch)["models"])
    archive = packed(tmp_path / "random", tmp_path / "random.zip")
    pulled = facesearch("models", "pull", "theirs", *ACCEPTED, archive, exit_code=3)
    assert "random.zip: its recogniser does not tell people apart" in pulled.stderr.splitlines()[-1]
    assert "nothing was installed" in pulled.stderr
    assert list(models.iterdir()) == []


@pytest.mark.thorough
def test_an_installed_pack_that_does_not_recognise_faces_is_reported(
    facesearch: Run, models: Path, tmp_path: Path
) -> None:
    make_pack_with(models / "random", random_recogniser(1))
    make_pack_with(models / "unknown", unknown_recogniser())
    verified = facesearch("models", "verify", exit_code=3)
    assert "fault: random: its recogniser does not tell people apart" in verified.stdout
    assert re.search(r"fault: unknown: .*w_other.onnx: not a model that ONNX Runtime can load", verified.stdout)
    assert "sound" not in verified.stdout
    told = {one["about"]: one for one in json.loads(facesearch("doctor", "-f", "json").stdout)["findings"]}
    assert "does not tell people apart" in told["model random"]["found"]
    assert told["model random"]["advice"]
    assert "embedded: no faults" in facesearch("models", "verify", "embedded").stdout


FAULTS = [
    (("pull", "nonsense"), 2, r"'nonsense': unknown pack"),
    (("pull", "../evil", "--from", "x.zip"), 2, r"cannot name a pack"),
    (("pull", "embedded", "--from", "x.zip"), 2, r"cannot name a pack"),
    (("pull", "buffalo_l"), 2, r"cannot ask about the licence of buffalo_l without a terminal; .*--accept-licence"),
    (("pull", "x", "--accept-licence", "--from", "gone.zip"), 3, r"gone.zip: cannot be read"),
    (("pull", "x", "--accept-licence", "--from", "ftp://h/x.zip"), 2, r"not an address to fetch from"),
    (("add", "nowhere", "--name", "x"), 3, r"nowhere: no such folder"),
    (("add", ".", "--name", "x"), 3, r"no detection head among its 0"),
    (("add", ".", "--name", "buffalo_l"), 2, r"the name buffalo_l is taken"),
    (("add", ".", "--name", "embedded"), 2, r"cannot name a pack"),
    (("remove", "embedded"), 2, r"is part of facesearch"),
    (("remove", "nonsense"), 3, r"no model 'nonsense'"),
    (("verify", "nonsense"), 3, r"no model 'nonsense'"),
    (("use", "nonsense"), 3, r"no model 'nonsense'"),
    (("use", "embedded", "--none"), 2, r"give the NAME of a model or --none"),
]


@pytest.mark.parametrize(("arguments", "code", "complaint"), FAULTS, ids=lambda value: str(value)[:40])
def test_errors_are_one_line(
    facesearch: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    failed = facesearch("models", *arguments, exit_code=code, stdin=subprocess.DEVNULL)
    assert failed.stdout == ""
    last = failed.stderr.splitlines()[-1]
    assert re.search(complaint, last), failed.stderr
    assert not (tmp_path / "home/.local").exists()


def test_a_damaged_registry_does_not_matter_if_a_model_is_named(facesearch: Run, tmp_path: Path, library: Path) -> None:
    kept = tmp_path / "home/.local/share/facesearch/models.json"
    if sys.platform == "darwin":
        kept = tmp_path / "home/Library/Application Support/facesearch/models.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{")
    for arguments in (("models", "list"), ("index", library / "photos/portraits", "--index", "ix")):
        failed = facesearch(*arguments, exit_code=3)
        assert failed.stderr == f"facesearch: {kept}: damaged; delete it, and register your models again\n"
    facesearch("index", library / "photos/portraits", "--index", "ix", "--model", "embedded")


def test_offline_the_message_names_an_alternative(facesearch: Run, models: Path) -> None:
    """A missing proxy simulates a missing network."""
    for variable in ("https_proxy", "HTTPS_PROXY"):
        failed = facesearch("models", "pull", "buffalo_sc", "--accept-licence", "-q", exit_code=3, env={
            variable: "http://127.0.0.1:9"
        })  # fmt: skip
        licence, line = failed.stderr.splitlines()
        assert "non-commercial research only (https://github.com/deepinsight/insightface#license)" in licence
        assert "github.com cannot be reached: Connection refused" in line
        assert "https://github.com/deepinsight/insightface/releases/download/model-zoo/buffalo_sc.zip" in line
        assert f"pull buffalo_sc --from FILE.zip, which unpacks it into {models / 'buffalo_sc'}" in line
    assert list(models.iterdir()) == []


def test_a_wrong_archive_for_a_known_name(facesearch: Run, archive: Path, models: Path) -> None:
    failed = facesearch("models", "pull", "buffalo_l", *ACCEPTED, archive, exit_code=3)
    assert "not buffalo_l" in failed.stderr
    assert list(models.iterdir()) == []


def test_a_full_disk_is_a_one_line_error_and_leaves_no_partial_pack(
    facesearch: Run, archive: Path, models: Path
) -> None:
    """A limit on file sizes simulates a full disk: writing fails in the middle of the second graph."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    failed = facesearch("models", "pull", "tiny", *ACCEPTED, archive, exit_code=3, preexec_fn=limited)
    assert "the disk is full; free some space" in failed.stderr.splitlines()[-1]
    assert list(models.iterdir()) == []


@pytest.mark.thorough
def test_ctrl_c_keeps_what_was_downloaded(
    facesearch: Run, environment: dict[str, str], archive: Path, models: Path, stalling: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "facesearch", "models", "pull", "tiny", *ACCEPTED, stalling]
    running = start_process(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    part, half = models / ".tiny.zip.part", archive.stat().st_size // 2
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == half):
        assert time.monotonic() < deadline, "nothing was downloaded"
        time.sleep(0.02)
    busy = facesearch("models", "pull", "tiny", *ACCEPTED, stalling, exit_code=4)
    assert "another run is pulling tiny" in busy.stderr
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert "the downloaded part is kept; run the same command again to continue" in said
    assert part.read_bytes() == archive.read_bytes()[:half]
    facesearch("models", "pull", "tiny", *ACCEPTED, stalling)
    assert [path.name for path in models.iterdir()] == ["tiny"]
    assert facesearch("models", "verify", "tiny").stdout == "tiny: no faults\n"


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_user_at_a_terminal_is_asked(
    environment: dict[str, str], archive: Path, models: Path, tmp_path: Path, answer: str, code: int
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    command = [sys.executable, "-m", "facesearch", "models", "pull", "tiny", "--from", str(archive)]
    result = subprocess.run(
        command, env=environment, cwd=tmp_path, stdin=theirs, capture_output=True, text=True, check=False, timeout=60
    )
    os.close(ours)
    os.close(theirs)
    assert result.returncode == code, result.stderr
    assert "Do you accept it? [y/N]" in result.stderr
    assert result.stdout == ""
    assert (models / "tiny").is_dir() == (code == 0)
    assert models.exists() or "licence not accepted; nothing was downloaded" in result.stderr


def test_a_real_pack_is_pulled_used_and_registered(facesearch: Run, real_photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    shutil.copy(real_photos / "models/scrfd_500m_kps.onnx", folder / "det.onnx")
    shutil.copy(Path(bundled.__file__).parent / "weights/sface_2021dec.onnx", folder / "rec.onnx")
    facesearch("models", "pull", "mixed", *ACCEPTED, packed(folder, tmp_path / "mixed.zip"))
    facesearch("models", "add", folder, "--name", "again")
    portraits = real_photos / "bbt/portraits"
    made = facesearch("index", portraits / "amy", portraits / "raj", "--index", "ix", "--format", "json")
    assert "using the installed InsightFace pack mixed" in made.stderr
    assert json.loads(made.stdout)["faces"] == 10
    facesearch("models", "use", "again")
    other = facesearch("index", portraits / "amy", "--index", "other", "--format", "json")
    assert "using again, the default set with facesearch models use" in other.stderr
    assert json.loads(other.stdout)["faces"] == 5
    for index in ("ix", "other"):
        answer = facesearch("query", portraits / "amy/amy1.png", "--index", index, "-k", "3", "-f", "paths")
        assert {Path(line).parent.name for line in answer.stdout.splitlines()} == {"amy"}
