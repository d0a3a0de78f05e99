"""The real server, `facesearch serve`, in a process of its own on a free port of the loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from conftest import environment_in, start_process
from PIL import Image
from sample_library import shipped_photo

from facesearch import Index

__all__ = [
    "HOSTILE", "NAMES", "TOKENS", "Answer", "Events", "Server", "as_json", "form", "hostile_library", "largest_faces",
    "serving", "token_file",
]  # fmt: skip

TOKENS = {"look": "look-" + "L" * 20, "name": "name-" + "N" * 20, "owner": "owner-" + "O" * 20}
"""The token of a visitor with these rights; the visitors are called Lena, Nora and Olga."""
NAMES = {"look": "Lena", "name": "Nora", "owner": "Olga"}


@dataclass(frozen=True)
class Answer:
    """An answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """What is wrong. It is one line."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == self.status
        detail: str = problem["detail"]
        assert "\n" not in detail
        assert len(detail) < 1000
        return detail


@dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen[Any]
    port: int
    folder: Path

    @property
    def log(self) -> str:
        """What it has written to stdout and stderr."""
        return (self.folder / "log").read_text(errors="surrogateescape")

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, right: str | None = "owner", json: Any = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:  # fmt: skip
        """Ask as somebody with a right, None for a stranger; `json` is a body in JSON."""
        sent = dict(headers)
        if right is not None:
            sent.setdefault("Authorization", f"Bearer {TOKENS[right]}")
        if json is not None:
            body = as_json(json)
            sent.setdefault("Content-Type", "application/json")
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def get(self, path: str, **options: Any) -> Any:
        """Return the JSON of what is there."""
        answer = self.ask("GET", path, **options)
        assert answer.status == 200, answer
        return answer.json

    def say(self, right: str = "name", **statement: Any) -> int:
        """Make a statement; return the number of the action."""
        answer = self.ask("POST", "/api/v1/statements", json=statement, right=right)
        assert answer.status == 201, answer
        action: int = answer.json["action"]
        return action

    def search(self, *files: Path | tuple[str, bytes], **question: Any) -> Any:
        """Return the answer to a search with photos as files."""
        answer = self.ask("POST", "/api/v1/search", **form(*files, **question))
        assert answer.status == 200, answer
        return answer.json

    def raw(self, data: bytes, *, more: float = 0.5) -> bytes:
        """Send bytes as they are; return all that comes back until the server closes, or is silent for a while."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            found = connection.recv(65536)
            connection.settimeout(more)
            try:
                while piece := connection.recv(65536):
                    found += piece
            except OSError:
                pass
            return found

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it by a signal; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


class Events:
    """A stream of server-sent events that is being read."""

    def __init__(self, server: Server, *, right: str = "owner") -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {TOKENS[right]}"})
        self.answer = self._connection.getresponse()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        kind = ""
        for line in self.answer:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                kind = text.removeprefix("event: ")
            elif text.startswith("data: "):
                yield kind, json.loads(text.removeprefix("data: "))

    def until(self, kind: str, state: str | None = None) -> Any:
        """Read on until an event of a kind comes; return its data."""
        for found, data in self:
            if found == kind and (state is None or data["state"] == state):
                return data
        raise AssertionError(f"the stream ended without {kind}")


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def form(*files: Path | tuple[str, bytes], **question: Any) -> dict[str, Any]:
    """Return the body and the headers of a form with photos and a question."""
    boundary = b"a-boundary-that-is-in-no-photo"
    parts = []
    for file in files:
        name, data = (file.name, file.read_bytes()) if isinstance(file, Path) else file
        quoted = os.fsencode(name).replace(b'"', b"%22")
        parts.append(b'Content-Disposition: form-data; name="photo"; filename="%s"\r\n\r\n%s' % (quoted, data))
    if question:
        asked = as_json({key.rstrip("_"): value for key, value in question.items()})
        parts.append(b'Content-Disposition: form-data; name="question"\r\n\r\n' + asked)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary
    return {"body": body, "headers": {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}}


def token_file(folder: Path) -> Path:
    path = folder / "tokens"
    path.write_text("# who may enter\n" + "".join(f"{NAMES[right]} {right} {TOKENS[right]}\n" for right in TOKENS))
    path.chmod(0o600)
    return path


@contextmanager
def serving(
    folder: Path, index: Path, *options: str | Path, prefix: Sequence[str | Path] = (), copy: bool = True,
    session: bool = False,
) -> Iterator[Server]:  # fmt: skip
    """Serve a copy of an index, or the index itself, with `folder` as the place for everything.

    `prefix` is a command that starts the server, `session` gives it a session of its own.
    """
    served = folder / "index" if copy else index
    if copy:
        shutil.copytree(index, served)
    place = folder / f"serving {len(list(folder.glob('serving *')))}"
    place.mkdir()
    environment = environment_in(place)
    with (folder / "log").open("wb") as log:
        process = start_process(
            [*prefix, sys.executable, "-m", "facesearch", "serve", "--index", served, "--port", "0", "--device", "cpu",
             "--token-file", token_file(folder), *options],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=session,
        )  # fmt: skip
    try:
        yield Server(process, _port(process, folder / "log"), folder)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, (folder / "log").read_text(errors="replace")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[Any], log: Path) -> int:
    deadline = time.monotonic() + 60
    while True:
        found = re.search(r"serving http://[^ ]*:(\d+)/\n", log.read_text(errors="replace"))
        if found:
            return int(found[1])
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline
        time.sleep(0.02)


HOSTILE = {
    "ada": b"ada <img src=x onerror=alert(1)>.jpg",
    "cal": b"cal two\nlines \x1b[31m.jpg",
    "dan": "dan \u202egpj.jpg".encode(),
    "eli": b"eli \xff\xfe.jpg",
    "fay": b"fay \"quoted\"; filename='x' & ../..\\up.jpg".replace(b"/", b"_"),
}
"""Names of files that are markup, move a cursor, are shown backwards, are no UTF-8, or end a header."""


def largest_faces(index: Path) -> dict[str, tuple[int, int]]:
    """The id of each photo with a face, and that of its largest one, by the first word of the file's name."""
    with Index.open(index) as opened:
        rows = sorted((face for face, _ in opened.export_faces()), key=lambda face: face.detection.box.area)
    names = [os.path.basename(row.path).decode(errors="replace").partition(".")[0] for row in rows]
    return {
        name if name == "bea darker" else name.split()[0]: (row.photo_id, row.face_id)
        for name, row in zip(names, rows, strict=True)
    }


def hostile_library(folder: Path, library: Path) -> Path:
    """Make photos with hostile names and their index in `folder/index`; return the folder."""
    photos = folder / "photos"
    photos.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SECRETCAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    shipped_photo("t1").transpose(Image.Transpose.ROTATE_90).save(photos / "group.jpg", exif=exif, quality=92)
    for person, name in HOSTILE.items():
        shutil.copy(library / f"photos/portraits/{person}.jpg", photos / os.fsdecode(name))
    shutil.copy(library / "photos/portraits/bea.jpg", photos)
    with Image.open(library / "photos/portraits/bea.jpg") as bea:
        bea.point(lambda value: value * 3 // 4).save(photos / "bea darker.jpg", exif=exif, quality=90)
    shutil.copy(library / "photos/scans/coffee.png", photos / "no face.png")
    Path(os.fsdecode(os.path.join(os.fsencode(photos), b"broken \xff.jpg"))).write_bytes(b"\xff\xd8\xff broken")
    command: list[str | Path] = [sys.executable, "-m", "facesearch", "index", photos, "--index", folder / "index"]
    indexed = subprocess.run([*command, "--model", "embedded", "--device", "cpu"], capture_output=True, check=False)
    assert indexed.returncode in (0, 5), indexed.stderr
    return folder
