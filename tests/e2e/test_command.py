"""The real command, as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import NOT_PERMITTED, Run, one_in, start_process
from own_pack import make_pack
from PIL import Image
from sample_library import shipped_photo

from facesearch.models.runtime import choose_runtime
from facesearch.settings import EMBEDDED_THRESHOLD

FOUND = {"everybody.jpg", "everybody small.webp", "left half.png", "bea.jpg"}


def names(lines: str) -> set[str]:
    return {Path(line).name for line in lines.splitlines()}


def test_index_then_query(facesearch: Run, library: Path, tmp_path: Path) -> None:
    first = facesearch("index", library / "photos", "--index", "ix")
    assert "new index in ix" in first.stderr
    assert "using the embedded model" in first.stderr
    report = dict(re.split(r"\s{2,}", line) for line in first.stdout.splitlines())
    assert (report["photos"], report["faces"], report["new"], report["without a face"]) == ("20", "32", "20", "2")
    assert "photos/s" in report["seconds"]
    again = facesearch("index", "--index", "ix")
    assert re.search(r"^unchanged +20$", again.stdout, re.MULTILINE)
    files = sorted(path.name for path in (tmp_path / "ix").iterdir())
    assert files == ["catalog.sqlite", "faces.faiss", "reserve", "writer.lock"]
    answer = facesearch("query", library / "query.jpg", "--index", "ix", "--format", "paths")
    assert names(answer.stdout) == FOUND
    assert re.fullmatch(r"facesearch: probably #\d+: 4 photos, all by face\n", answer.stderr)


def test_thresholds_alone_and_together(facesearch: Run, library: Path, indexed: Path) -> None:
    def hits(*options: str, exit_code: int = 0) -> list[dict[str, Any]]:
        answer = facesearch(
            "query", library / "query.jpg", "--index", indexed, "-f", "jsonl", *options, exit_code=exit_code
        )
        told = [json.loads(line) for line in answer.stdout.splitlines()]
        return [{key: value for key, value in hit.items() if key != "similarity_to_person"} for hit in told]

    default = hits()
    assert {Path(hit["path"]).name for hit in default} == FOUND
    assert all(hit["similarity"] >= EMBEDDED_THRESHOLD and hit["above_threshold"] for hit in default)
    seven = hits("--top-k", "7")
    assert [hit["above_threshold"] for hit in seven] == [True] * 4 + [False] * 3
    assert seven[:4] == default
    assert hits("-k", "2") == default[:2]
    limit = str(default[1]["similarity"] - 1e-4)
    assert hits("--threshold", limit) == default[:2]
    assert hits("--threshold", limit, "--top-k", "1") == default[:1]
    assert len(hits("--threshold", "0.0")) > 4, "0.0 is a threshold"
    every = hits("--no-threshold")
    assert len(every) == 18
    assert {hit["above_threshold"] for hit in every} == {None}
    assert hits("--no-threshold", "-k", "3") == every[:3]
    assert hits("--threshold", "0.99999", exit_code=1) == []
    assert [hit["above_threshold"] for hit in hits("-t", "0.99999", "-k", "2", exit_code=1)] == []
    assert all(hit["face_px"] >= 90 for hit in hits("--min-face", "90"))
    assert len(hits("--no-threshold", "--all-faces")) == 32


def test_all_formats_agree(facesearch: Run, library: Path, indexed: Path) -> None:
    def answer(*options: str) -> str:
        return facesearch("query", library / "query.jpg", "--index", indexed, *options).stdout

    lines = [json.loads(line) for line in answer("--format", "jsonl").splitlines()]
    whole = json.loads(answer("--format", "json"))
    assert whole["queries"][0]["hits"] == lines
    assert whole["threshold"] == EMBEDDED_THRESHOLD
    assert whole["index"] == {"path": str(indexed), "model": "embedded", "faces": 32, "photos": 20}
    rows = list(csv.DictReader(io.StringIO(answer("--format", "csv"))))
    assert [(row["path"], row["similarity"]) for row in rows] == [
        (hit["path"], str(hit["similarity"])) for hit in lines
    ]
    paths = [hit["path"] for hit in lines]
    assert answer("--format", "paths").splitlines() == paths
    assert answer("-0").split("\0") == [*paths, ""]
    table = answer().splitlines()
    assert table[0].split()[0] == "rank"
    assert [line[line.index("/") :] for line in table[1:]] == paths
    for hit in lines:
        left, top, width, height = hit["box"]
        assert hit["distance"] == pytest.approx(1 - hit["similarity"], abs=2e-6)
        assert hit["face_px"] == min(width, height)
        with Image.open(hit["path"]) as photo:
            assert -20 <= left < left + width <= photo.width + 20
            assert -20 <= top < top + height <= photo.height + 20


def test_several_faces_in_the_query(facesearch: Run, library: Path, indexed: Path) -> None:
    group = library / "photos/party/everybody.jpg"
    answer = facesearch("query", group, "--index", indexed, "-f", "json")
    assert "shows 6 faces: using the largest" in answer.stderr
    assert "through other photos; --direct omits these" in answer.stderr
    assert len(answer.stderr.splitlines()) == 2
    assert json.loads(answer.stdout)["queries"][0]["face"] == 1
    third = facesearch("query", group, "--index", indexed, "--face", "3", "-f", "json")
    assert len(third.stderr.splitlines()) == 1
    assert json.loads(third.stdout)["queries"][0]["face"] == 3
    every = facesearch("query", group, "--index", indexed, "--face", "all", "-f", "json")
    assert [query["face"] for query in json.loads(every.stdout)["queries"]] == [1, 2, 3, 4, 5, 6]
    assert "face 6 of 6" in facesearch("query", group, "--index", indexed, "--face", "all").stdout
    error = facesearch("query", group, "--index", indexed, "--face", "7", exit_code=2)
    assert "--face 7" in error.stderr


def test_scan_gives_the_same_hits_and_writes_nothing(
    facesearch: Run, library: Path, indexed: Path, tmp_path: Path
) -> None:
    def drop_ids(text: str) -> list[dict[str, Any]]:
        hits = [json.loads(line) for line in text.splitlines()]
        dropped = ("photo_id", "face_id", "person")
        return [{key: value for key, value in hit.items() if key not in dropped} for hit in hits]

    options = ("-k", "10", "-f", "jsonl", "--device", "cpu")
    before = sorted(path for path in tmp_path.rglob("*"))
    scanned = facesearch("scan", library / "query.jpg", library / "photos", *options)
    assert sorted(path for path in tmp_path.rglob("*")) == before
    asked = facesearch("query", library / "query.jpg", "--index", indexed, "--direct", *options)
    assert drop_ids(scanned.stdout) == drop_ids(asked.stdout)


def test_turned_and_tight_queries(facesearch: Run, library: Path, indexed: Path, tmp_path: Path) -> None:
    astronaut = shipped_photo("astronaut")
    astronaut.rotate(90, expand=True).save(tmp_path / "side.png")
    astronaut.crop((175, 60, 270, 175)).save(tmp_path / "tight.png")
    wanted = {"grey.png", "large.jpg", "on its side, no tag.jpg", "turned 3.jpg", "turned 6.jpg", "turned 8.jpg"}
    for query in ("side.png", "tight.png"):
        answer = facesearch("query", query, "--index", indexed, "-f", "paths")
        assert names(answer.stdout) == wanted, query


def test_status(facesearch: Run, library: Path, indexed: Path) -> None:
    status = facesearch("status", "--index", indexed).stdout
    for expected in ("embedded", str(choose_runtime()), str(library / "photos"), "MB", "20 photos read in"):
        assert expected in status
    facts = json.loads(facesearch("status", "--index", indexed, "--format", "json").stdout)
    assert (facts["photos"], facts["faces"], facts["no_face"], facts["failed"]) == (20, 32, 2, 0)
    assert facts["catalog_bytes"] > facts["vectors_bytes"] > 32 * 512


def test_a_contact_sheet(facesearch: Run, library: Path, indexed: Path, tmp_path: Path) -> None:
    facesearch("query", library / "query.jpg", "--index", indexed, "--sheet", "hits.jpg", "--quiet")
    with Image.open(tmp_path / "hits.jpg") as sheet:
        assert sheet.width > 1000


def test_file_names_of_any_bytes(facesearch: Run, library: Path, tmp_path: Path) -> None:
    odd = [b"sp ace.jpg", b"new\nline.jpg", "\U0001f600 é.jpg".encode(), b"\xff\xfe.jpg", b"-k.jpg"]
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in odd:
        shutil.copy(bytes(library / "photos/portraits/bea.jpg"), os.path.join(os.fsencode(folder), name))
    (folder / "broken\x1b[31m\n.jpg").write_bytes(b"\xff\xd8\xff")
    assert "unreadable photos: 1;" in facesearch("index", "odd", "--index", "ix").stderr
    query = os.path.join(os.fsencode(folder), b"\xff\xfe.jpg")
    answer = facesearch("query", query, "--index", "ix", "-0", exit_code=1)  # all are copies of the query photo
    assert sorted(os.path.basename(os.fsencode(path)) for path in answer.stdout.split("\0")[:-1]) == sorted(odd)
    for line in facesearch("query", query, "--index", "ix", "-f", "jsonl", exit_code=1).stdout.encode().splitlines():
        hit = json.loads(line.decode("utf-8"))  # valid UTF-8, whatever the names are
        assert ("path_b64" in hit) == ("�" in hit["path"])
    failed = facesearch("status", "--failed", "--index", "ix")
    assert "not a photo" in failed.stdout


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("query", "me.jpg"), 3, r"no index at .*; make one with `facesearch index FOLDER`"),
    (("query", "nothing.jpg", "--index", "{ix}"), 3, r"nothing\.jpg: cannot be read \(No such file or directory\)"),
    (("query", "text.jpg", "--index", "{ix}"), 3, r"text\.jpg: not a photo in a format that can be read"),
    (("query", "no face.png", "--index", "{ix}"), 3, r"no face found \(600 x 400 pixels; tried upright, turned by 90"),
    (("query", "me.jpg", "--index", "{ix}", "--top-k", "0"), 2, r"--top-k"),
    (("query", "me.jpg", "--index", "{ix}", "--threshold", "1.5"), 2, r"--threshold"),
    (("query", "me.jpg", "--index", "{ix}", "--threshold", "high"), 2, r"--threshold"),
    (("query", "me.jpg", "--index", "{ix}", "--format", "xml"), 2, r"--format xml: choose one of table, json"),
    (("query", "me.jpg", "--index", "{ix}", "-0", "-f", "json"), 2, r"--print0"),
    (("query", "me.jpg", "--index", "{ix}", "-t", "0.3", "--no-threshold"), 2, r"contradict"),
    (("query", "me.jpg", "--index", "{ix}", "--face", "zero"), 2, r"--face zero: give a number from 1, or all"),
    (("query", "me.jpg", "--index", "{ix}", "--sheet", "hits.pdf"), 2, r"hits\.pdf: a contact sheet is a picture"),
    (("query", "me.jpg", "--index", "{ix}", "--device", "cuda"), 3, r"device cuda is not available"),
    (("query", "me.jpg", "--index", "{ix}", "--device", "warp"), 2, r"--device warp: choose one of"),
    (("query", "me.jpg", "--index", "{ix}", "--fmr", "2"), 2, r"--fmr 2: give a rate between 0 and 1"),
    (("query", "me.jpg", "--index", "{ix}", "--fmr", "1e-4", "-t", "0.4"), 2, r"--threshold and --fmr contradict"),
    (("query", "me.jpg", "--index", "{ix}", "--since", "summer"), 2, r"--since summer: not a date; write it as 2019"),
    (("query", "me.jpg", "--index", "{ix}", "--since", "2020", "--until", "2019"), 2, r"is later than --until 2019"),
    (("query", "me.jpg", "--index", "{ix}", "--faces", "many"), 2, r"--faces many: give a number such as 2"),
    (
        ("query", "me.jpg", "--index", "{ix}", "--faces", "2", "--alone"),
        2,
        r"--alone sets how many faces a photo shows; omit",
    ),
    (("query", "me.jpg", "--index", "{ix}", "--min-quality", "2"), 2, r"--min-quality"),
    (("query", "me.jpg", "--index", "{ix}", "--under", "nowhere"), 3, r"nowhere: not in a folder that is searched"),
    (("query", "me.jpg", "--index", "{ix}", "--not-under", "nowhere"), 3, r"nowhere: not in a folder"),
    (("query", "me.jpg", "--index", "{ix}", "--with", "no face.png"), 3, r"no face\.png: no face found"),
    (("query", "me.jpg", "--index", "{ix}", "--html", "hits.txt"), 2, r"hits\.txt: .*\.html"),
    (("query", "me.jpg", "--index", "{ix}", "--dry-run"), 2, r"--dry-run needs --copy-to, --link-to or --crops-to"),
    (("query", "me.jpg", "--index", "{ix}", "--hard-links"), 2, r"--hard-links needs --link-to DIR"),
    (("compare", "me.jpg"), 2, r"B"),
    (("compare", "me.jpg", "no face.png"), 3, r"no face\.png: no face found"),
    (("compare", "me.jpg", "me.jpg", "--format", "csv"), 2, r"--format csv: choose table or json"),
    (("who", "text.jpg"), 3, r"text\.jpg: not a photo"),
    (("who", "no face.png"), 1, r"no face\.png: no face found"),
    (("who", "me.jpg", "--draw", "me.jpg"), 3, r"me\.jpg: already exists and was not made by facesearch"),
    (("query", "me.jpg", "--index", "{ix}", "--sheet", "me.jpg"), 3, r"me\.jpg: already exists and was not made by"),
    (("query", "", "--index", "{ix}"), 2, r"an argument is empty"),
    (("who", "me.jpg", "--draw", "me.pdf"), 2, r"me\.pdf: faces are drawn into a picture"),
    (("models", "calibrate", "nowhere"), 3, r"nowhere: no such folder"),
    (("models", "calibrate", "photos"), 3, r"photos: no folders with photos of faces"),
    (("query",), 2, r"give a photo or the name of the person"),
    (("frobnicate",), 2, r"frobnicate"),
    (("index",), 2, r"no index at .* yet; name a folder of photos"),
    (("index", "nowhere"), 3, r"nowhere: no such file or folder"),
    (("index", "photos", "--model", "nonsense"), 3, r"no model 'nonsense'"),
    (("index", "photos", "--model", "photos"), 3, r"no detection head among its 0"),
    (("index", "photos", "--index", "me.jpg"), 3, r"me\.jpg.*cannot be created"),
    (("index", "--index", "{ix}", "--model", "nonsense"), 3, r"no model 'nonsense'"),
    (("index", "photos", "--format", "csv"), 2, r"--format csv"),
    (("scan", "me.jpg", "nowhere"), 3, r"nowhere: no such file or folder"),
    (("scan", "me.jpg"), 2, r"PATH"),
    (("status",), 3, r"no index at"),
]


@pytest.mark.parametrize(("arguments", "exit_code", "message"), WRONG, ids=lambda value: str(value)[:60])
def test_errors_are_one_line(
    facesearch: Run,
    library: Path,
    indexed: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    exit_code: int,
    message: str,
) -> None:
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    shipped_photo("coffee").save(tmp_path / "no face.png")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "photos").mkdir()
    result = facesearch(*(part.format(ix=indexed) for part in arguments), exit_code=exit_code)
    assert re.search(message, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("facesearch: ")
    assert result.stdout == ""
    assert not (tmp_path / "home/.local").exists(), "a failed command leaves nothing behind"


def test_nothing_reaches_the_threshold(facesearch: Run, library: Path, indexed: Path, tmp_path: Path) -> None:
    only_others = facesearch("scan", library / "query.jpg", library / "photos/scans", exit_code=1)
    assert only_others.stdout == ""
    assert "no face reaches a similarity of 0.41 among 2 faces" in only_others.stderr
    nearest = facesearch("scan", library / "query.jpg", library / "photos/scans", "-k", "1", exit_code=1)
    assert "below threshold" in nearest.stdout
    (tmp_path / "empty").mkdir()
    nobody = facesearch("scan", library / "query.jpg", "empty", "--no-threshold", exit_code=1)
    assert "no face was found among 0 faces" in nobody.stderr


def test_a_missing_folder_keeps_its_photos_with_exit_code_5(facesearch: Run, library: Path, tmp_path: Path) -> None:
    shutil.copytree(library / "photos/portraits", tmp_path / "usb")
    facesearch("index", "usb", "--index", "ix")
    (tmp_path / "usb").rename(tmp_path / "unplugged")
    report = facesearch("index", "--index", "ix", exit_code=5)
    assert "missing or empty; its photos are kept" in report.stderr
    answer = facesearch("query", library / "query.jpg", "--index", "ix")
    assert "offline" in answer.stdout


def many_photos(folder: Path, count: int, *, faces: int = 1) -> None:
    """Write photos with one face, which take 30 ms each to read, or with six, which take five times as long."""
    folder.mkdir()
    photo = shipped_photo("t1").crop((160, 50, 480, 450)) if faces == 1 else shipped_photo("t1").reduce(2)
    for number in range(count):
        photo.putpixel((number, 0), (number % 256, 1, 2))
        photo.save(folder / f"{number:04}.jpg", quality=80)


def start(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return start_process(
        [sys.executable, "-m", "facesearch", *arguments],
        env=environment, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(file: Path) -> None:
    """Wait until a file has contents: `writer.lock` once a run has begun, `in-hand` once it reads photos."""
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "exit_code"), one_in(2, [(signal.SIGINT, 130), (signal.SIGTERM, 143)]))
def test_a_signal_finishes_the_work_in_progress(
    facesearch: Run, environment: dict[str, str], tmp_path: Path, number: int, exit_code: int
) -> None:
    many_photos(tmp_path / "photos", 70)
    run = start(environment, tmp_path, "index", "photos", "--index", "ix", "--format", "json")
    wait_for(tmp_path / "ix/in-hand")
    run.send_signal(number)
    output, messages = run.communicate(timeout=60)
    assert run.returncode == exit_code, messages
    assert "finished work is kept" in messages
    report = json.loads(output)
    assert report["stopped"]
    assert 0 < report["new"] < 70
    rest = json.loads(facesearch("index", "--index", "ix", "--format", "json").stdout)
    assert rest["unchanged"] == report["new"]
    assert rest["new"] == 70 - report["new"]


def test_a_killed_run_loses_seconds_and_leaves_no_lock(
    facesearch: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    many_photos(tmp_path / "photos", 20)
    facesearch("index", "photos", "--index", "ix")
    for path in (tmp_path / "photos").iterdir():
        path.write_bytes(path.read_bytes() + b"edited")
    run = start(environment, tmp_path, "index", "--index", "ix")
    wait_for(tmp_path / "ix/in-hand")
    run.send_signal(signal.SIGSTOP)  # keeps it in the middle of its work until the others are done
    locked = facesearch("index", "--index", "ix", exit_code=4)
    assert re.search(rf"another run is writing to this index \(process {run.pid}, since 20", locked.stderr)
    assert facesearch("query", tmp_path / "photos/0001.jpg", "--index", "ix", "-k", "1", "-q").stdout
    run.kill()
    run.communicate(timeout=60)
    report = json.loads(facesearch("index", "--index", "ix", "--format", "json").stdout)
    assert report["photos"] == 20
    assert report["faces"] == 20


@pytest.mark.thorough
def test_a_full_disk_is_a_one_line_error_and_nothing_is_lost(facesearch: Run, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"{NOT_PERMITTED}: mount a small disk")
    try:
        many_photos(tmp_path / "photos", 4, faces=6)
        facesearch("index", "photos", "--index", disk / "ix")
        many_photos(tmp_path / "more", 40, faces=6)
        full = facesearch("index", "more", "--index", disk / "ix", exit_code=3)
        assert "disk is full" in full.stderr
        facts = json.loads(facesearch("status", "--index", disk / "ix", "-f", "json").stdout)
        assert facts["photos"] >= 4
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        report = json.loads(facesearch("index", "--index", disk / "ix", "-f", "json").stdout)
        assert report["photos"] == 44
        assert facesearch("query", tmp_path / "more/0003.jpg", "--index", disk / "ix", "-k", "3", "-q").stdout
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_reader_that_closes_the_pipe_early(
    environment: dict[str, str], library: Path, indexed: Path, tmp_path: Path
) -> None:
    command = (
        f"{sys.executable} -m facesearch query '{library}/query.jpg' --index '{indexed}' --no-threshold | head -n 1"
    )
    result = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert result.stdout.startswith("rank")
    assert result.stderr == ""


def test_closed_and_full_outputs(
    facesearch: Run, environment: dict[str, str], library: Path, indexed: Path, tmp_path: Path
) -> None:
    query = f"{sys.executable} -m facesearch query '{library}/photos/party/everybody.jpg' --index '{indexed}'"

    def shell(command: str) -> subprocess.CompletedProcess[str]:
        options: dict[str, Any] = {"env": environment, "capture_output": True, "text": True, "cwd": tmp_path}
        return subprocess.run(["bash", "-c", command], check=False, **options)

    full = shell(f"{query} > /dev/full")
    assert (full.returncode, full.stderr.count("\n")) == (3, 3)  # notes on the faces and on the person, and the error
    assert "cannot write to stdout (No space left" in full.stderr
    closed = shell(f"{query} -q >&-")
    assert (closed.returncode, closed.stderr.count("\n")) == (3, 1)
    mute = shell(f"{query} 2>&-")
    assert mute.returncode == 0
    assert "everybody.jpg" in mute.stdout
    index = shell(f"{sys.executable} -m facesearch index '{library}/photos/portraits' --index ix 2>&-")
    assert index.returncode == 0
    assert "photos" in index.stdout


def test_unusual_environments(facesearch: Run, library: Path, tmp_path: Path) -> None:
    bare = facesearch(exit_code=2)
    assert bare.stdout.startswith("Usage: facesearch")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "neither a file nor a folder" in facesearch("index", "pipe.jpg", exit_code=3).stderr
    facesearch("index", library / "photos/portraits", "--index", "ix", "-q")
    assert "not a regular file" in facesearch("query", "pipe.jpg", "--index", "ix", exit_code=3).stderr
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / ".insightface").write_text("not a folder")
    facesearch("index", library / "photos/portraits", "--index", "other", env={"HOME": str(closed)})
    typo = facesearch("index", library / "photos/portraits/typo", "--index", "ix", exit_code=3)
    assert "no such file or folder" in typo.stderr


def test_the_version_and_both_ways_to_start(facesearch: Run) -> None:
    from facesearch import __version__

    assert facesearch("--version").stdout == f"facesearch {__version__}\n"
    script = Path(sys.executable).parent / "facesearch"
    result = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"facesearch {__version__}\n"


PRINTS = """
import os, sys
import insightface.model_zoo.scrfd as scrfd
detect = scrfd.SCRFD.detect
def printing(self, *arguments, **options):
    print("from Python")
    os.write(1, b"from C\\n")
    return detect(self, *arguments, **options)
scrfd.SCRFD.detect = printing
from facesearch.cli import main
main()
"""


def test_what_a_library_prints_never_reaches_stdout(environment: dict[str, str], library: Path, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "own")
    asked = ["index", str(library / "photos/portraits"), "--index", str(tmp_path / "ix"), "--model", str(pack)]
    command = [sys.executable, "-c", PRINTS, *asked, "-f", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["runtime"] == str(choose_runtime())
    assert "from Python" in done.stderr
    assert "from C" in done.stderr
    shell = shlex.join(command) + " 2>&-"
    silent = subprocess.run(["sh", "-c", shell], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert json.loads(silent.stdout)["unchanged"] == report["photos"]
