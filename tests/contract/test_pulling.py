"""Pulling packs from unreliable servers: broken downloads, wrong headers, redirects; no pack is half installed."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import stat
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from facesearch.errors import LockedError, ModelError, StorageError, UsageError
from facesearch.models.packs import download, known
from facesearch.models.packs.download import Limits, is_address
from facesearch.models.packs.install import pull, remove_pack, sound_pack
from facesearch.models.packs.record import RECORD_NAME, faults_of, read_record

QUICK = Limits(timeout=0.5, attempts=3, pause=0.01)
Answer = Callable[[BaseHTTPRequestHandler], None]


def graph(outputs: int, dim: int, seed: int, weight: int = 60_000) -> bytes:
    """Return a graph with the shape of a head, and random weights so that an archive cannot compress it."""
    taken = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])
    given = [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, [1, dim]) for i in range(outputs)]
    values = np.random.default_rng(seed).normal(size=weight).astype(np.float32)
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [weight], values.tobytes(), raw=True)
    nodes = [helper.make_node("Identity", ["weights"], [f"out{i}"]) for i in range(outputs)]
    made: bytes = helper.make_model(helper.make_graph(nodes, "head", [taken], given, [weights])).SerializeToString()
    assert onnx.load_from_string(made).graph.name == "head"
    return made


@pytest.fixture(scope="session")
def heads() -> dict[str, bytes]:
    """Return the files of a complete pack."""
    return {"det.onnx": graph(9, 1, seed=1), "rec.onnx": graph(1, 128, seed=2)}


def zipped(files: dict[str, bytes], top: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{top}{name}", content)
    return stream.getvalue()


@pytest.fixture(scope="session")
def archive(heads: dict[str, bytes]) -> bytes:
    return zipped(heads)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder of an empty home; no proxy is set."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "insightface"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "insightface/models"


class Site:
    """A real local server: sends one answer after the other, then repeats the last one, and records request headers."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append({key.lower(): value for key, value in self.headers.items()})
                (site.answers.pop(0) if len(site.answers) > 1 else site.answers[0])(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/pack.zip"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


def whole(
    body: bytes, *, etag: str | None = '"one"', cut: int | None = None, ranges: bool = True, length: int | None = None
) -> Answer:
    """Return an answer that sends the file, or the requested rest of it, cut after some bytes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        start = 0
        asked = handler.headers.get("Range")
        if ranges and asked and handler.headers.get("If-Range") == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if etag:
            handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(body) - start if length is None else length))
        handler.end_headers()
        handler.wfile.write(body[start : None if cut is None else start + cut])

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def fetched(site: Site, *answers: Answer, name: str = "mine", limits: Limits = QUICK, **options: Any) -> Path:
    site.answers = list(answers)
    return pull(name, site.url, licence="none", limits=limits, **options)


def left_in(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir())


def test_a_pack_is_fetched_recorded_and_valid(
    site: Site, archive: bytes, heads: dict[str, bytes], models: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    notes: list[str] = []
    folder = fetched(site, whole(archive), progress=lambda done, of: seen.append((done, of)), notify=notes.append)
    assert folder == models / "mine"
    assert {path.name: path.read_bytes() for path in folder.glob("*.onnx")} == heads
    record = read_record(folder)
    assert record is not None
    assert (record.source, record.licence, set(record.digests)) == (site.url, "none", set(heads))
    assert record.sha256 in notes[0]
    assert "trusted on first use" in notes[0]
    assert seen[0] == (0, len(archive))
    assert seen[-1] == (len(archive), len(archive))
    assert left_in(models) == ["mine"]
    assert sound_pack("mine") == folder
    (folder / "det.onnx").write_bytes(b"rot")
    with pytest.raises(ModelError, match=r"det\.onnx: changed, its checksum is wrong; remove the model mine"):
        sound_pack("mine")


def test_a_cut_download_goes_on_where_it_was(site: Site, archive: bytes, models: Path) -> None:
    third = len(archive) // 3
    notes: list[str] = []
    fetched(site, whole(archive, cut=third), whole(archive, cut=third), whole(archive), notify=notes.append)
    assert [request.get("range") for request in site.requests] == [None, f"bytes={third}-", f"bytes={2 * third}-"]
    assert {request.get("if-range") for request in site.requests[1:]} == {'"one"'}
    assert [note for note in notes if "trying again" in note] == [
        f"the connection was cut at {size:,} bytes; trying again" for size in (third, 2 * third)
    ]


def test_another_run_goes_on_where_the_last_one_gave_up(site: Site, archive: bytes, models: Path) -> None:
    with pytest.raises(ModelError, match=r"cut, 3 times; the 100 bytes received are kept, and the same command"):
        fetched(site, whole(archive, cut=100, ranges=False))
    assert left_in(models) == [".mine.zip.part", ".mine.zip.part.json"]
    site.requests.clear()
    fetched(site, whole(archive))
    assert site.requests[0]["range"] == "bytes=100-"
    assert left_in(models) == ["mine"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_cannot_be_resumed_starts_from_scratch(site: Site, archive: bytes, ranges: bool) -> None:
    """The archive has changed, or the server does not support ranges."""
    other = zipped({"old": b"x" * 999})
    first = whole(other, etag='"old"', cut=50) if ranges else whole(archive, cut=50)
    fetched(site, first, whole(archive, ranges=ranges))
    assert site.requests[1]["range"] == "bytes=50-"


def test_without_a_validator_nothing_is_joined(site: Site, archive: bytes) -> None:
    fetched(site, whole(archive, etag=None, cut=50), whole(archive, etag='W/"weak"', cut=50), whole(archive))
    assert [request.get("range") for request in site.requests] == [None, None, None]


def test_a_part_that_was_not_asked_for_is_not_joined(site: Site, archive: bytes, models: Path) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(archive) - 1}/{len(archive)}")
        handler.send_header("Content-Length", str(len(archive) - 7))
        handler.end_headers()
        handler.wfile.write(archive[7:])

    folder = fetched(site, whole(archive, cut=50), elsewhere, whole(archive))
    assert sound_pack("mine") == folder


def test_an_archive_that_is_shorter_now(site: Site, archive: bytes) -> None:
    fetched(site, whole(archive, cut=50), status(416), whole(archive))
    assert "range" not in site.requests[2]


def test_temporary_errors_are_retried(site: Site, archive: bytes) -> None:
    fetched(site, status(503), status(429), whole(archive))
    assert len(site.requests) == 3


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_is_not_retried(site: Site, models: Path, code: int) -> None:
    with pytest.raises(ModelError, match=rf"answers {code} .*or download .* yourself, then pull"):
        fetched(site, status(code))
    assert len(site.requests) == 1
    assert left_in(models) == []


def test_a_server_that_does_not_answer(site: Site, models: Path) -> None:
    release = threading.Event()
    started = time.monotonic()
    with pytest.raises(ModelError, match="no answer in time, 2 times"):
        fetched(site, lambda _: (release.wait(10), None)[1], limits=replace(QUICK, timeout=0.1, attempts=2))
    assert time.monotonic() - started < 5
    release.set()


def test_a_server_that_stops_in_the_middle_is_left(site: Site, archive: bytes) -> None:
    release = threading.Event()

    def stalls(handler: BaseHTTPRequestHandler) -> None:
        whole(archive, cut=1000)(handler)
        handler.wfile.flush()
        release.wait(10)

    fetched(site, stalls, whole(archive), limits=replace(QUICK, timeout=0.2))
    assert site.requests[1]["range"] == "bytes=1000-"
    release.set()


def test_an_unreachable_server_is_reported_with_an_alternative(models: Path) -> None:
    with pytest.raises(
        ModelError,
        match=r"127\.0\.0\.1 cannot be reached: Connection refused; or download .*mine.zip yourself, then pull mine",
    ):
        pull("mine", "http://127.0.0.1:9/mine.zip", licence="none", limits=QUICK)
    assert left_in(models) == []


def test_redirects_are_followed_but_not_for_ever_nor_to_files(site: Site, archive: bytes, models: Path) -> None:
    fetched(site, status(302, Location="/elsewhere.zip"), whole(archive))
    assert sound_pack("mine") is not None
    with pytest.raises(ModelError, match="too many redirects"):
        fetched(site, status(302, Location="/round"), name="loop")
    assert len(site.requests) < 12
    site.requests.clear()
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x.zip", "gopher://127.0.0.1/"):
        with pytest.raises(ModelError, match=r"less secure|cannot be followed"):
            fetched(site, status(302, Location=target), name="elsewhere")
    assert len(site.requests) == 3
    assert left_in(models) == ["mine"]


def test_an_encrypted_address_does_not_lead_to_a_plain_one() -> None:
    handler = download._Redirects()
    request = urllib.request.Request("https://example.org/a.zip")
    with pytest.raises(ModelError, match="less secure"):
        handler.redirect_request(request, io.BytesIO(), 302, "", None, "http://example.org/a.zip")  # type: ignore[arg-type]
    plain = urllib.request.Request("http://example.org/a.zip")
    safer = handler.redirect_request(plain, io.BytesIO(), 302, "", {}, "https://example.org/a.zip")  # type: ignore[arg-type]
    assert safer is not None


def test_sizes_are_bounded_before_and_while_bytes_come(
    site: Site, archive: bytes, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"1,000,000,000,000 bytes are over the limit"):
        fetched(site, whole(archive, length=10**12))
    seen: list[int] = []
    with pytest.raises(ModelError, match=r"pack\.zip: not a valid \.zip archive"):
        fetched(site, whole(archive, length=1000), progress=lambda done, _: seen.append(done))
    assert max(seen) == 1000, "not more than the announced size"

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(bytes(10**6))

    with pytest.raises(ModelError, match="than is allowed"):
        fetched(site, endless, limits=replace(QUICK, archive=10**5))
    usage = shutil.disk_usage(models)._replace(free=len(archive))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match="are free; free some space, or set INSIGHTFACE_HOME"):
        fetched(site, whole(archive))
    assert "mine" not in left_in(models)


def test_a_full_disk_keeps_what_was_downloaded(
    site: Site, archive: bytes, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system writes some bytes and then fails, as on a full disk."""
    room = [1000]

    def write(descriptor: int, data: Any) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = os.pwrite(descriptor, data[: room[0]], os.lseek(descriptor, 0, os.SEEK_CUR))
        os.lseek(descriptor, size, os.SEEK_CUR)
        room[0] -= size
        return size

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        fetched(site, whole(archive))
    monkeypatch.undo()
    monkeypatch.setenv("INSIGHTFACE_HOME", str(models.parent))
    assert (models / ".mine.zip.part").read_bytes() == archive[:1000]
    fetched(site, whole(archive))
    assert site.requests[-1]["range"] == "bytes=1000-"


def test_a_known_name_stands_for_its_networks(
    site: Site, archive: bytes, heads: dict[str, bytes], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"not buffalo_sc \(sha256 .*expected 57d31b56.*nothing was installed"):
        fetched(site, whole(archive), name="buffalo_sc")
    assert left_in(models) == [], "a wrong archive is not resumed"
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in heads.items()}
    pack = replace(known.KNOWN_PACKS[0], heads=digests, sha256=hashlib.sha256(archive).hexdigest())
    monkeypatch.setattr(known, "KNOWN_PACKS", (pack,))
    notes: list[str] = []
    folder = fetched(site, whole(archive), name="buffalo_l", notify=notes.append)
    assert notes == []
    shutil.rmtree(folder)
    fetched(site, whole(zipped(heads, top="buffalo_l/")), name="buffalo_l", notify=notes.append)
    assert "not the one published as buffalo_l" in notes[0]
    shutil.rmtree(folder)
    (models / "buffalo_l").mkdir()
    for name, content in heads.items():
        (models / "buffalo_l" / name).write_bytes(content)
    assert sound_pack("buffalo_l") == folder, "as installed by another program"
    (models / "buffalo_l/rec.onnx").write_bytes(graph(1, 128, seed=3))
    with pytest.raises(ModelError, match="not the published buffalo_l"):
        sound_pack("buffalo_l")


@pytest.mark.parametrize("top", ["", "mine/", "other name/", "./", "./mine/"])
def test_archives_with_and_without_a_folder_around_everything(
    top: str, heads: dict[str, bytes], models: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "mine.zip"
    litter = {"__MACOSX/._det.onnx": b"x", f"{top}.DS_Store": b"x", f"{top}{RECORD_NAME}": b"{}"}
    packed.write_bytes(zipped({**{f"{top}{name}": content for name, content in heads.items()}, **litter}))
    folder = pull("mine", str(packed), licence="none")
    assert {path.name for path in folder.iterdir()} == {*heads, RECORD_NAME}
    record = read_record(folder)
    assert record is not None
    assert record.source == str(packed)
    assert packed.exists()
    assert left_in(models) == ["mine"]


def special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("../evil.onnx", "leads out"),
        ("mine/../../evil.onnx", "leads out"),
        ("/tmp/evil.onnx", "leads out"),
        ("..\\evil.onnx", "leads out"),
        ("C:/evil.onnx", "leads out"),
        (special("link.onnx", stat.S_IFLNK), "not a regular file"),
        (special("pipe", stat.S_IFIFO), "not a regular file"),
        (special("disk", stat.S_IFBLK), "not a regular file"),
        ("det.onnx/inside", "one path for a file and a folder"),
    ],
)
def test_archives_with_paths_outside_are_refused(
    entry: str | zipfile.ZipInfo, complaint: str, heads: dict[str, bytes], models: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "evil.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in heads.items():
            archive.writestr(name, content)
        archive.writestr(entry, b"/etc/passwd")
    with pytest.raises(ModelError, match=complaint):
        pull("mine", str(packed), licence="none")
    assert left_in(models) == []
    assert not list(tmp_path.rglob("evil.onnx"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_a_duplicate_name_is_refused(heads: dict[str, bytes], tmp_path: Path) -> None:
    packed = tmp_path / "twice.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("det.onnx", "./det.onnx"):
            archive.writestr(name, heads["det.onnx"])
    with pytest.raises(ModelError, match="occurs twice"):
        pull("mine", str(packed), licence="none")


def test_bombs_are_refused_before_they_are_unpacked(heads: dict[str, bytes], models: Path, tmp_path: Path) -> None:
    packed = tmp_path / "bomb.zip"
    packed.write_bytes(zipped({**heads, "zeros.onnx": bytes(20 * 2**20)}))
    with pytest.raises(ModelError, match="unpacks to more than"):
        pull("mine", str(packed), licence="none", limits=replace(QUICK, unpacked=2**20))
    packed.write_bytes(zipped({**heads, **{f"{number}.txt": b"" for number in range(300)}}))
    with pytest.raises(ModelError, match="more than 200 files"):
        pull("mine", str(packed), licence="none")
    assert left_in(models) == []


def test_what_is_no_pack_is_not_installed(
    archive: bytes, heads: dict[str, bytes], models: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "x.zip"
    damaged = bytearray(archive)
    damaged[len(archive) // 2] ^= 0xFF
    for content, complaint in (
        (zipped({"det.onnx": heads["det.onnx"]}), "the archive: no recognition head"),
        (zipped({}), "no detection head"),
        (b"not an archive", "not a valid .zip archive"),
        (archive[: len(archive) // 2], "not a valid .zip archive"),
        (bytes(damaged), "not a valid .zip archive|not a model file"),
    ):
        packed.write_bytes(content)
        with pytest.raises(ModelError, match=complaint) as raised:
            pull("mine", str(packed), licence="none")
        assert "\n" not in str(raised.value)
        assert left_in(models) == []
    with pytest.raises(ModelError, match=r"gone\.zip: cannot be read"):
        pull("mine", str(tmp_path / "gone.zip"), licence="none")


def test_what_is_in_the_way_is_left_alone(archive: bytes, models: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mine.zip"
    packed.write_bytes(archive)
    (models / "mine/mine").mkdir(parents=True)
    (models / "mine/mine/precious").touch()
    with pytest.raises(ModelError, match="facesearch did not install it: move it away"):
        pull("mine", str(packed), licence="none")
    assert (models / "mine/mine/precious").exists()
    assert left_in(models) == ["mine"]


def test_two_runs_do_not_pull_the_same_pack_at_once(site: Site, archive: bytes, models: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        begun.set()
        go_on.wait(10)
        whole(archive)(handler)

    first = threading.Thread(target=fetched, args=(site, slow), kwargs={"limits": replace(QUICK, timeout=10)})
    first.start()
    begun.wait(10)
    with pytest.raises(LockedError, match="another run is pulling mine"):
        pull("mine", site.url, licence="none", limits=QUICK)
    go_on.set()
    first.join()
    assert left_in(models) == ["mine"]
    assert pull("mine", site.url, licence="none", limits=QUICK) == models / "mine"
    assert len(site.requests) == 1, "already installed, so nothing is fetched"


def test_what_a_killed_run_left_is_cleared_away(archive: bytes, models: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mine.zip"
    packed.write_bytes(archive)
    (models / ".mine.unpacking/half").mkdir(parents=True)
    (models / ".mine.zip.part").write_bytes(b"part")
    (models / ".mine.zip.part.json").write_text("{damaged")
    folder = pull("mine", str(packed), licence="none")
    assert not (folder / "half").exists()
    assert (models / ".mine.zip.part").exists(), "the partial download of another run is kept"


def test_only_what_was_installed_is_deleted(archive: bytes, models: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mine.zip"
    packed.write_bytes(archive)
    folder = pull("mine", str(packed), licence="none")
    record = read_record(folder)
    assert record is not None
    (folder / "notes.txt").touch()
    with pytest.raises(ModelError, match=r"contains notes\.txt, not made by facesearch"):
        remove_pack("mine", folder, record)
    (folder / "notes.txt").unlink()
    (folder / "extra.onnx").touch()
    assert faults_of(folder, record.digests) == [f"{folder / 'extra.onnx'}: not part of the pack"]
    (folder / "extra.onnx").unlink()
    (folder / "rec.onnx").unlink()
    remove_pack("mine", folder, record)
    assert left_in(models) == []


@pytest.mark.parametrize("record", ["{", "[]", "{}", json.dumps({"files": {"../../x": "0"}})])
def test_a_damaged_record_is_one_clear_line(record: str, models: Path) -> None:
    (models / "mine").mkdir(parents=True)
    (models / "mine" / RECORD_NAME).write_text(record)
    with pytest.raises(ModelError, match=r"facesearch\.json: damaged; delete"):
        sound_pack("mine")


@pytest.mark.parametrize("source", ["ftp://x/y.zip", "file:///x.zip", "https://", "http://[::1", "https://a b/c.zip"])
def test_invalid_addresses(source: str) -> None:
    with pytest.raises(UsageError, match="not an address to fetch from"):
        is_address(source)


def test_addresses_and_files() -> None:
    assert is_address("https://example.org/buffalo_l.zip")
    assert not is_address("/tmp/buffalo_l.zip")
    assert not is_address("buffalo_l.zip")
