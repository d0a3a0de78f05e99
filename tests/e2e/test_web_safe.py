"""What the real server promises about safety, sentence by sentence."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import NOT_PERMITTED, Run
from PIL import Image
from sample_library import shipped_photo
from test_terminal import read_all, start_on_a_terminal
from web_server import HOSTILE, NAMES, TOKENS, Answer, Events, Server, form, largest_faces, serving, token_file

from facesearch import Index, InputError
from facesearch.web.guard import HEADERS
from facesearch.web.rights import Tokens


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hostile: Path) -> Iterator[Server]:
    """A server that the tests here share; what they change they change back."""
    folder = tmp_path_factory.mktemp("safe")
    (folder / "uploads").mkdir()
    with serving(folder, hostile / "index", "--uploads", folder / "uploads") as server:
        yield server


@pytest.fixture(scope="module")
def query(library: Path) -> Path:
    return library / "query.jpg"


@pytest.fixture(scope="module")
def known(hostile: Path) -> dict[str, tuple[int, int]]:
    """The photo and its largest face, by the first word of the file's name."""
    return largest_faces(hostile / "index")


# Who may enter


def listening(process: int) -> set[tuple[str, int]]:
    """The addresses on which a process listens, as the kernel has them."""
    inodes = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for line in (Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()).splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A" and fields[9] in inodes:
            address, port = fields[1].split(":")
            found.add((address, int(port, 16)))
    return found


def test_it_listens_on_the_loopback_alone(server: Server) -> None:
    loopback = struct.pack("<I", struct.unpack(">I", socket.inet_aton("127.0.0.1"))[0]).hex().upper()
    assert listening(server.process.pid) == {(loopback, server.port)}


ROUTES: dict[tuple[str, str], str | None] = {
    ("GET", "/healthz"): None,
    ("GET", "/api/v1/session"): None,
    ("POST", "/api/v1/session"): None,
    ("DELETE", "/api/v1/session"): None,
    ("POST", "/api/v1/search"): "look",
    ("POST", "/api/v1/compare"): "look",
    ("POST", "/api/v1/faces"): "look",
    ("GET", "/api/v1/people"): "look",
    ("GET", "/api/v1/people/{person}"): "look",
    ("GET", "/api/v1/people/{person}/photos"): "look",
    ("GET", "/api/v1/people/{person}/parts"): "look",
    ("GET", "/api/v1/statements"): "look",
    ("GET", "/api/v1/news"): "look",
    ("POST", "/api/v1/news"): "look",
    ("GET", "/api/v1/photos/{photo}"): "look",
    ("GET", "/api/v1/photos/{photo}/picture"): "look",
    ("GET", "/api/v1/photos/{photo}/original"): "look",
    ("GET", "/api/v1/faces/{face}/picture"): "look",
    ("POST", "/api/v1/photos/zip"): "look",
    ("GET", "/api/v1/status"): "look",
    ("GET", "/api/v1/failures"): "look",
    ("GET", "/api/v1/events"): "look",
    ("POST", "/api/v1/statements"): "name",
    ("POST", "/api/v1/photos/{photo}/faces"): "name",
    ("GET", "/api/v1/review"): "name",
    ("POST", "/api/v1/review/{question}"): "name",
    ("GET", "/api/v1/problems"): "name",
    ("POST", "/api/v1/keys"): "owner",
    ("POST", "/api/v1/refresh"): "owner",
    ("DELETE", "/api/v1/refresh"): "owner",
    ("POST", "/api/v1/uploads"): "owner",
    ("POST", "/api/v1/forget"): "owner",
}
"""What each endpoint needs at least. A new one is added here, with thought."""
ALSO = (
    "/api/v1/docs",
    "/api/v1/openapi.json",
    "/api/v1",
    "/metrics",
    "/static",
    "/healthz/",
    "/docs",
    "//",
    "/%2fstatic/x",
)


def test_every_endpoint_has_a_right(server: Server) -> None:
    paths = server.get("/api/v1/openapi.json")["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(ROUTES)


def an_example(path: str, known: dict[str, tuple[int, int]]) -> str:
    photo, face = known["bea"]
    for name, value in (("{person}", 1), ("{photo}", photo), ("{face}", face), ("{question}", "people-1-2")):
        path = path.replace(name, str(value))
    return path


def test_a_stranger_gets_nowhere(server: Server, known: dict[str, tuple[int, int]]) -> None:
    for (method, path), right in ROUTES.items():
        answer = server.ask(method, an_example(path, known), right=None)
        assert (answer.status == 401) == (right is not None), (method, path, answer)
        if right is not None:
            assert answer.detail.startswith("a token is needed")
    for path in ALSO:
        assert server.ask("GET", path, right=None).status == 401, path
    assert set(server.get("/api/v1/session", right=None).values()) == {None}
    assert server.ask("GET", "/", right=None).headers["content-type"].startswith("text/html")


def test_each_right_allows_what_it_says_and_no_more(server: Server, known: dict[str, tuple[int, int]]) -> None:
    order = ["look", "name", "owner"]
    for (method, path), right in ROUTES.items():
        for number, own in enumerate(order[: order.index(right)] if right else ()):
            answer = server.ask(method, an_example(path, known), right=own)
            assert answer.status == 403, (method, path, own, answer)
            assert answer.detail == f"this needs the right {right}; {NAMES[own]} has {order[number]}"
        if right is not None and (method, path) not in {("GET", "/api/v1/events"), ("POST", "/api/v1/refresh")}:
            answer = server.ask(method, an_example(path, known), right=right)
            assert answer.status not in (401, 403), (method, path, answer)


def test_wrong_tokens_are_refused(server: Server) -> None:
    right = TOKENS["owner"]
    for wrong in (right[:-1], right + "x", right.lower(), "", "\xff" * 20):
        answer = server.ask("GET", "/api/v1/people", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status == 401
        assert answer.detail == "the token is wrong, or its session has ended"
    for kind in (f"Basic {base64.b64encode(f'owner:{right}'.encode()).decode()}", right, f"Token {right}"):
        assert server.ask("GET", "/healthz", headers={"Authorization": kind}).status == 401
    for place in (f"/api/v1/people?token={right}", f"/api/v1/people?access_token={right}"):
        assert server.ask("GET", place, right=None).status == 401, "no token in an address, which is kept in histories"
    assert server.ask("GET", "/api/v1/people", headers={"Authorization": f"bearer  {right}"}).status == 200


def test_many_wrong_tokens_at_once_are_turned_away(tmp_path: Path, hostile: Path) -> None:
    with serving(tmp_path, hostile / "index", copy=False) as server:
        found: list[Answer] = []

        def guess() -> None:
            wrong = {"Authorization": "Bearer wrong-wrong-wrong"}
            found.append(server.ask("GET", "/api/v1/people", right=None, headers=wrong))

        guessing = [threading.Thread(target=guess) for _ in range(60)]
        for thread in guessing:
            thread.start()
        while not any(answer.status == 429 for answer in found):
            assert any(thread.is_alive() for thread in guessing)
            time.sleep(0.01)
        assert server.get("/api/v1/session")["name"] == "Olga", "a right token waits for nothing"
        for thread in guessing:
            thread.join()
        assert {answer.status for answer in found} == {401, 429}
        (busy, *_) = [answer for answer in found if answer.status == 429]
        assert busy.detail.startswith("too many wrong tokens")
        assert busy.headers["retry-after"] == "5"


# Sessions of browsers


def own_key(server: Server, rights: str = "name", name: str = "Petra") -> str:
    answer = server.ask("POST", "/api/v1/keys", json={"name": name, "rights": rights})
    assert answer.status == 201
    key: str = answer.json["key"]
    return key


def enter(server: Server, key: str, **headers: str) -> Answer:
    own = {"Origin": f"http://127.0.0.1:{server.port}", **headers}
    return server.ask("POST", "/api/v1/session", json={"key": key}, right=None, headers=own)


def test_a_key_works_once_and_the_cookie_is_closed(server: Server) -> None:
    key = own_key(server)
    answer = enter(server, key)
    assert (answer.status, answer.body) == (204, b"")
    cookie = answer.headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    token, *attributes = rest.split("; ")
    assert name == f"facesearch-{server.port}"
    assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=strict"}
    assert key not in cookie
    again = enter(server, key)
    assert (again.status, "set-cookie" in again.headers) == (401, False)
    sent = {"Cookie": f"{name}={token}"}
    origin = {"Origin": f"http://127.0.0.1:{server.port}"}
    session = server.get("/api/v1/session", right=None, headers=sent)
    assert (session["name"], session["rights"]) == ("Petra", "name")
    beside = {"Cookie": f'theirs="{{a,b}}; x=[1]; {name}={token}; other=1'}
    assert server.ask("GET", "/api/v1/people", right=None, headers=beside).status == 200, "others may set odd cookies"
    assert server.ask("POST", "/api/v1/refresh", right=None, headers=sent | origin).status == 403
    assert server.ask("DELETE", "/api/v1/session", right=None, headers=sent | origin).status == 204
    assert server.ask("GET", "/api/v1/people", right=None, headers=sent).status == 401
    assert enter(server, TOKENS["look"]).status == 204, "a service's token may begin a session too"


def test_visitors_have_names_that_can_be_shown(server: Server) -> None:
    for name in ("", " ", "two\nlines", "\x1b[31mred", "\u202eanna", "a" * 101, "\ud800", None, 5):
        answer = server.ask("POST", "/api/v1/keys", json={"name": name, "rights": "look"})
        assert (answer.status, bool(answer.detail)) == (422, True), name
    for rights in ("all", "LOOK", "", None, 3):
        assert server.ask("POST", "/api/v1/keys", json={"name": "Anna", "rights": rights}).status == 422


def test_a_key_is_for_nobody_without_a_page(server: Server) -> None:
    key = own_key(server)
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert enter(server, key, **headers).status == 403
    assert server.ask("POST", "/api/v1/session", json={"key": key}, right=None).status == 403
    for body in (b"x" * 3000, b"", b"{", b'{"key": 5}', b'{"key": "\\ud800"}', b'{"key": ""}', b"[" * 1500):
        sent = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{server.port}"}
        assert server.ask("POST", "/api/v1/session", body, right=None, headers=sent).status in (413, 422)
    assert enter(server, key).status == 204


# Other pages


def test_only_names_of_this_server_are_answered(server: Server) -> None:
    port = server.port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "evil@",
        f"u@127.0.0.1:{port}",
        "2130706433",
        "0x7f.1",
    ):
        answer = server.ask("GET", "/api/v1/people", headers={"Host": host})
        assert answer.status == 421, host
        assert server.ask("GET", "/", headers={"Host": host}, right=None).status == 421
        assert server.ask("GET", "/api/v1/events", headers={"Host": host}).status == 421
    own = socket.gethostname()
    for host in (f"localhost:{port}", f"LOCALHOST.:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "192.168.1.7", own):
        assert server.ask("GET", "/api/v1/people", headers={"Host": host}).status == 200, host


def test_only_pages_of_this_server_are_answered(server: Server, known: dict[str, tuple[int, int]]) -> None:
    host = f"127.0.0.1:{server.port}"
    cookie = enter(server, own_key(server, "owner")).headers["set-cookie"].partition(";")[0]
    foreign = [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"http://localhost:{server.port}"},
        {"Origin": f"http://127.0.0.1:{server.port + 1}"}, {"Origin": "http://127.0.0.1"}, {"Origin": "file://"},
        {"Origin": f"ftp://{host}"}, {"Origin": f"http://{host}@evil.example"}, {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{host}"},
    ]  # fmt: skip
    for method, path in ROUTES:
        for headers in foreign if path in ("/api/v1/events", "/api/v1/forget", "/api/v1/people") else foreign[:10:9]:
            sent = {"Cookie": cookie, **headers}
            answer = server.ask(method, an_example(path, known), right=None, headers=sent)
            assert answer.status == 403, (method, path, headers, answer)
    look = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert server.ask("GET", "/", right=None, headers=look).status == 200, "a link to the page may be followed"
    assert server.ask("GET", "/api/v1/people", right=None, headers={"Cookie": cookie, **look}).status == 403
    own = {"Cookie": cookie, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert server.ask("GET", "/api/v1/people", right=None, headers=own).status == 200


def test_a_cookie_alone_changes_nothing(server: Server, known: dict[str, tuple[int, int]]) -> None:
    cookie = {"Cookie": enter(server, own_key(server, "owner")).headers["set-cookie"].partition(";")[0]}
    for method, path in ROUTES:
        if method != "GET":
            answer = server.ask(method, an_example(path, known), right=None, headers=cookie)
            assert answer.status == 403, (method, path, answer)
            assert answer.detail == "a request with a cookie must come from a page of this server"
    assert server.ask("GET", "/api/v1/people", right=None, headers=cookie).status == 200


def test_no_other_page_reads_an_answer(server: Server) -> None:
    for origin in ("http://evil.example", f"http://127.0.0.1:{server.port}"):
        sent = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for path in ("/api/v1/search", "/", "/healthz"):
            answer = server.ask("OPTIONS", path, headers=sent, right=None)
            assert answer.status in (401, 403, 405)
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_forwarded_addresses_are_not_believed(server: Server) -> None:
    claimed = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    answer = enter(server, own_key(server), **claimed)
    assert answer.status == 204
    assert "Secure" not in answer.headers["set-cookie"]


def test_a_proxy_that_is_announced_is_believed(tmp_path: Path, hostile: Path) -> None:
    with serving(
        tmp_path, hostile / "index", "--allow-host", "faces.example", "--root-path", "/faces", copy=False
    ) as server:
        host = {"Host": "faces.example", "Origin": "https://faces.example", "X-Forwarded-Proto": "https"}
        answer = enter(server, own_key(server), **host)
        assert answer.status == 204
        assert {"Secure", "Path=/faces"} <= set(answer.headers["set-cookie"].split("; "))
        assert server.get("/api/v1/people", headers={"Host": "faces.example"})["total"]
        assert server.ask("GET", "/static/nothing", right=None, headers={"Host": "faces.example"}).status == 404
        assert server.ask("GET", "/api/v1/people", right=None).status == 401


# Answers


def has_all_headers(answer: Answer) -> bool:
    return {name: answer.headers.get(name.lower()) for name in HEADERS} == HEADERS and "cache-control" in answer.headers


def test_every_answer_has_the_headers_of_safety(server: Server, known: dict[str, tuple[int, int]]) -> None:
    photo, face = known["bea"]
    asked = [
        ("GET", "/", None),
        ("GET", "/static/index.html", None),
        ("GET", "/static/nothing", None),
        ("GET", "/healthz", None),
        ("GET", "/api/v1/people", None),
        ("GET", "/api/v1/people", "look"),
        ("GET", "/nothing", "look"),
        ("PUT", "/api/v1/people", "look"),
        ("GET", "/api/v1/people/x", "look"),
        ("GET", "/api/v1/people/999999", "look"),
        ("GET", f"/api/v1/photos/{photo}/picture", "look"),
        ("GET", f"/api/v1/faces/{face}/picture", "look"),
        ("GET", f"/api/v1/photos/{photo}/original", "look"),
        ("POST", "/api/v1/forget", "look"),
        ("POST", "/api/v1/search", "look"),
        ("GET", "/api/v1/openapi.json", "look"),
        ("GET", "/api/v1/docs", "look"),
    ]
    for method, path, right in asked:
        answer = server.ask(method, path, right=right)
        assert has_all_headers(answer), (method, path, answer)
    large = {"Content-Length": str(10**12), "Content-Type": "application/json"}
    for right in (None, "look"):
        assert has_all_headers(server.ask("POST", "/api/v1/search", right=right, headers=large))
    assert has_all_headers(server.ask("GET", "/", headers={"Host": "evil.example"}))
    with Events(server) as events:
        found = {name.lower(): value for name, value in events.answer.getheaders()}
        assert has_all_headers(Answer(200, found, b""))
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "frame-ancestors 'none'" in policy
    not_http = server.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").decode()
    assert not_http.startswith("HTTP/1.1 400 ")
    assert all(f"{name}: {value}" in not_http for name, value in HEADERS.items())


def test_strings_are_text_in_json(server: Server, known: dict[str, tuple[int, int]], hostile: Path) -> None:
    """Names of people and files are sent as they are, in answers that no browser takes for a page."""
    who = server.get(f"/api/v1/photos/{known['bea'][0]}")["faces"][0]["person"]
    for name in ("<script>alert(1)</script>", "'\"&lt;\\", "\u202eanna", "O'Brien; DROP TABLE", "a" * 200, "🙂 é ﷽"):
        action = server.say(say="name", person=who, name=name)
        for path in ("/api/v1/people", f"/api/v1/people/{who}", f"/api/v1/people/{who}/photos", "/api/v1/statements"):
            answer = server.ask("GET", path)
            assert answer.headers["content-type"] == "application/json"
            assert json.dumps(name, ensure_ascii=False)[1:-1] in json.dumps(answer.json, ensure_ascii=False)
        server.say(say="undo", action=action)
    for name in ("", " ", "two\nlines", "\x1b[31mred", "nul\0", "\x9b2J", "#5", "7", "line\u2028separator", "x" * 201):
        answer = server.ask("POST", "/api/v1/statements", json={"say": "name", "person": who, "name": name})
        assert answer.status == 422, name
        assert answer.detail.isprintable()
    shown = {os.path.basename(server.get(f"/api/v1/photos/{photo}")["path"]) for photo, _ in known.values()}
    assert {name.decode(errors="replace") for name in HOSTILE.values()} <= shown
    eli = server.get(f"/api/v1/photos/{known['eli'][0]}")
    assert base64.b64decode(eli["path_b64"]).endswith(HOSTILE["eli"])


@pytest.mark.parametrize("name", HOSTILE)
def test_errors_about_hostile_names_are_one_line_of_text(
    server: Server, known: dict[str, tuple[int, int]], hostile: Path, name: str
) -> None:
    photo = known[name][0]
    file = os.path.join(os.fsencode(hostile / "photos"), HOSTILE[name])
    os.rename(file, file + b".away")
    try:
        for path in (f"photos/{photo}/original", f"photos/{photo}/picture?side=1280"):
            answer = server.ask("GET", f"/api/v1/{path}")
            assert answer.status == 415
            assert answer.detail.endswith("No such file or directory")
        answer = server.ask("POST", "/api/v1/photos/zip", json={"photos": [photo]})
        assert (answer.status, answer.headers["content-type"]) == (415, "application/problem+json")
        tagged = server.ask("POST", f"/api/v1/photos/{photo}/faces", json={"box": [1, 1, 50, 50]})
        assert (tagged.status, bool(tagged.detail)) == (415, True)
    finally:
        os.rename(file + b".away", file)


# Uploads and questions


def png(width: int, height: int) -> bytes:
    """A picture that says that it has so many pixels, and holds few."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("path", ["search", "faces", "compare", "uploads"])
def test_photos_are_limited(server: Server, query: Path, library: Path, path: str) -> None:
    def status(*photos: tuple[str, bytes]) -> int:
        answer = server.ask("POST", f"/api/v1/{path}", **form(*photos))
        if answer.status == 201:
            assert [one["result"] for one in answer.json["photos"]] == ["refused"]
            return 201
        assert answer.detail
        return answer.status

    refused = path == "uploads"
    twice = 2 if path == "compare" else 1
    assert status(*[("huge.png", png(60_000, 60_000))] * twice) == (201 if refused else 413), "pixels"
    for data in (b"<svg onload=alert(1)>", b"", b"\xff\xd8\xff", b"GIF89a", b"%PDF-1.4", b"#!/bin/sh"):
        assert status(*[("no.jpg", data)] * twice) == (201 if refused else 415), data
    assert status(*[("q.jpg", query.read_bytes())] * 21) == 422, "number"
    assert status(*[("q.jpg", query.read_bytes())] * 25) in (400, 422), "number"
    if not refused:
        landscape = library / "photos/scans/coffee.png"
        assert status(*[("landscape.png", landscape.read_bytes())] * twice) == 422, "no face"


def test_bodies_are_limited(server: Server) -> None:
    port, token = server.port, TOKENS["owner"]

    def head(path: str, *lines: str) -> bytes:
        fields = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}", *lines]
        return "\r\n".join([*fields, "Content-Type: application/json", "", ""]).encode()

    for path, most in (("search", 200 * 2**20), ("statements", 4 * 2**20), ("forget", 4 * 2**20), ("session", 2000)):
        found = server.raw(head(f"/api/v1/{path}", f"Content-Length: {most + 1}"))
        assert found.startswith(b"HTTP/1.1 413 "), (path, found)
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    for path, pieces in (("statements", 5), ("forget", 5), ("photos/zip", 5), ("session", 1)):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            extra = (f"Origin: http://127.0.0.1:{port}",) if path == "session" else ()
            connection.sendall(head(f"/api/v1/{path}", "Transfer-Encoding: chunked", *extra))
            for _ in range(pieces):
                connection.sendall(piece)
            assert connection.recv(12) == b"HTTP/1.1 413", path
    both = server.raw(head("/api/v1/search", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n")
    assert both.startswith(b"HTTP/1.1 4"), "no two lengths"


@pytest.mark.parametrize("data", ["%%%", "QUJ", "QU JD", "Qé==", "\n", "QUJD\n"])
def test_broken_base64_is_told(server: Server, data: str) -> None:
    answer = server.ask("POST", "/api/v1/search", json={"photos": [{"data": data}]})
    assert answer.status in (415, 422)
    assert answer.detail


def test_broken_forms_are_told(server: Server) -> None:
    kinds = [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
    ]
    for kind in kinds:
        for body in (b"", b"--x", b"--x\r\n\r\n", b'--x\r\nContent-Disposition: form-data; name="question"\r\n\r\n{'):
            answer = server.ask("POST", "/api/v1/search", body, headers={"Content-Type": kind})
            assert answer.status in (400, 415, 422), (kind, body, answer)
            assert answer.detail
    other = b'--x\r\nContent-Disposition: form-data; name="path"\r\n\r\n/etc/passwd\r\n--x--\r\n'
    answer = server.ask("POST", "/api/v1/search", other, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (answer.status, answer.detail) == (422, "path: send files as photo, and all else in question")


@pytest.mark.parametrize(
    "question",
    [
        {"top_k": 0},
        {"top_k": 10**30},
        {"top_k": 1.5},
        {"top_k": "5"},
        {"threshold": 2},
        {"threshold": "x"},
        {"fmr": 0},
        {"face": 0},
        {"face": "some"},
        {"face_ids": [0]},
        {"face_ids": [10**30]},
        {"face_ids": ["1"]},
        {"person": 0},
        {"person": []},
        {"with": "Anna"},
        {"with": [None]},
        {"where": {"since": "soon"}},
        {"where": {"faces": "9..1"}},
        {"where": {"min_face": -1}},
        {"where": {"person": 1}},
        {"where": {"under": "x"}},
        {"where": {"under": ["a\0b"]}},
        {"photos": ["/etc/passwd"]},
        {"photos": [{"path": "/etc/passwd"}]},
        {"colour": "red"},
        {"each": 1},
        {"with_": [1]},
        {"top_k": 3, "face_ids": [1], "person": 1},
        {"where": {"under": ["x" * 2000]}},
    ],
    ids=lambda question: json.dumps(question)[:50],
)
def test_wrong_questions_say_what_is_wrong(server: Server, question: dict[str, Any]) -> None:
    answer = server.ask("POST", "/api/v1/search", json={"face_ids": [1], **question})
    assert answer.status in (404, 422), answer
    assert answer.detail


def test_numbers_that_are_none(server: Server) -> None:
    for text in ("NaN", "Infinity", "-Infinity", "1e999", "-0.0", "1e-999"):
        for field in ('"threshold": ', '"fmr": ', '"where": {"min_quality": ', '"where": {"min_face": '):
            body = f'{{"face_ids": [1], {field}{text}{"}" if "{" in field else ""}}}'.encode()
            answer = server.ask("POST", "/api/v1/search", body, headers={"Content-Type": "application/json"})
            assert answer.status in (200, 422), (body, answer)


def test_questions_are_bounded(server: Server, query: Path) -> None:
    """Two are answered at once and sixteen wait; the others are told to come again."""
    asked, found = form(*[query] * 12, each=True), list[Answer]()

    def ask() -> None:
        found.append(server.ask("POST", "/api/v1/search", **asked))

    asking = [threading.Thread(target=ask) for _ in range(40)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert {answer.status for answer in found} == {200, 429}
    busy = next(answer for answer in found if answer.status == 429)
    assert busy.detail.startswith("too many requests at once")
    assert int(busy.headers["retry-after"]) >= 1
    assert server.search(query)["queries"], "and afterwards all is as before"


# Files


def test_no_parameter_is_a_path(
    server: Server, library: Path, hostile: Path, known: dict[str, tuple[int, int]]
) -> None:
    """Nobody can name a file of the server and have it read, or learn whether it is there."""
    there, missing = str(library / "photos/portraits/ada.jpg"), "/nowhere/at all.jpg"
    face = known["bea"][1]
    for field in ({"person": "?"}, {"face_ids": [face], "with": ["?"]}, {"face_ids": [face], "without": ["?"]}):
        told = []
        for path in (there, missing):
            asked = json.loads(json.dumps(field).replace("?", path))
            answer = server.ask("POST", "/api/v1/search", json=asked)
            assert answer.status == 404, answer
            told.append(answer.detail.replace(path[:60], "?"))
        assert told[0] == told[1], "an answer does not tell whether the file exists"
    for path in (there, missing, "~/x", str(hostile / "index/catalog.sqlite")):
        answer = server.ask("POST", "/api/v1/search", json={"face_ids": [face], "where": {"under": [path]}})
        assert answer.status == 404
    for statement in ({"say": "name", "person": there, "name": "x"}, {"say": "merge", "people": [there, 1]}):
        assert server.ask("POST", "/api/v1/statements", json=statement).status == 404
    named = server.search((there, (library / "query.jpg").read_bytes()))
    assert named["queries"][0]["path"] == "ada.jpg"
    for path in ("photos/..%2f..%2fetc%2fpasswd", f"photos/{there}", "photos/1/../../status", "faces/%2e%2e/picture"):
        assert server.ask("GET", f"/api/v1/{path}").status in (404, 422), path


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/static//etc/passwd",
        "/static/....//app.py",
        "/static/..\\app.py",
        "/static/%00",
        "/static/index.html%00.css",
        "/static/" + "a" * 5000,
        "/static/.",
        "/static/",
        "/static/%ff",
        "/static/__init__.py",
    ],
    ids=lambda path: path[:30],
)
def test_static_files_are_those_of_the_page(server: Server, path: str) -> None:
    answer = server.ask("GET", path, right=None)
    assert answer.status in (401, 404), answer
    assert b"root:" not in answer.body
    assert b"import" not in answer.body


@pytest.mark.parametrize("same_size", [False, True])
@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_took_the_place_of_a_photo_is_not_served(
    server: Server, hostile: Path, known: dict[str, tuple[int, int]], tmp_path: Path, same_size: bool, link: bool
) -> None:
    photo, face = known["bea darker"]
    file = hostile / "photos/bea darker.jpg"
    paths = [f"photos/{photo}/original", f"photos/{photo}/picture", f"faces/{face}/picture"]
    assert [server.ask("GET", f"/api/v1/{path}").status for path in paths] == [200, 200, 200]
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * file.stat().st_size if same_size else b"a secret of somebody else")
    file.rename(tmp_path / "away")
    try:
        if link:
            file.symlink_to(secret)
        else:
            shutil.copy(secret, file)
        for path in paths:
            answer = server.ask("GET", f"/api/v1/{path}")
            assert answer.status == 415, path
            assert "changed since it was indexed" in answer.detail
            assert b"sss" not in answer.body
        assert server.ask("POST", "/api/v1/photos/zip", json={"photos": [photo]}).status == 415
    finally:
        file.unlink()
        (tmp_path / "away").rename(file)
    assert [server.ask("GET", f"/api/v1/{path}").status for path in paths] == [200, 200, 200]


def test_metadata_stays_with_the_original(server: Server, known: dict[str, tuple[int, int]]) -> None:
    photo, face = known["group"]
    for path in (f"photos/{photo}/picture", f"photos/{photo}/picture?side=2560", f"faces/{face}/picture"):
        data = server.ask("GET", f"/api/v1/{path}").body
        assert b"SECRETCAMERA" not in data
        with Image.open(io.BytesIO(data)) as image:
            assert not image.getexif().get_ifd(0x8825)
            assert 0x010F not in image.getexif()
    assert b"SECRETCAMERA" in server.ask("GET", f"/api/v1/photos/{photo}/original").body


# What leaves the server, and what is written down


def digits(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """All numbers with a fraction in an answer, each with its key."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from digits(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from digits(one, key)
    elif isinstance(value, float):
        yield key, value


FINER = {"det_score": 4, "seconds": 20, "finished": 20, "started": 20, "said_at": 20}
"""Numbers that do not depend on embeddings, with their digits after the point."""


def test_similarities_are_coarse_everywhere(server: Server, known: dict[str, tuple[int, int]], query: Path) -> None:
    answers = [
        server.search(query, top_k=100),
        server.search(query, threshold=0.123456, all_faces=True),
        server.search(face_ids=[known["bea"][1]], expand=True, fold=True),
        server.search(query, fmr=0.0123456),
        server.ask("POST", "/api/v1/compare", **form(query, query)).json,
        server.ask("POST", "/api/v1/faces", **form(query)).json,
        *(
            server.get(f"/api/v1/{path}")
            for path in (
                "people",
                "people/1",
                "people/1/photos",
                "people/1/parts",
                "statements",
                "review?limit=200",
                "problems",
                "news",
                "status",
                f"photos/{known['group'][0]}",
                "failures",
            )
        ),
        *(
            server.ask("POST", "/api/v1/forget?dry_run=true", json={"person": person, "reach": reach}).json
            for person in (1, 2)
            for reach in ("group", "similar", "everything")
        ),
    ]
    found = [number for answer in answers for number in digits(answer)]
    assert len([number for key, number in found if key == "similarity"]) > 20
    for key, number in found:
        if key in ("fmr", "expected_false_hits", "chance", "excess", "fmr_interval"):
            assert number == float(f"{number:.0e}"), (key, number)
        else:
            assert number == round(number, FINER.get(key, 3)), (key, number)
    words = [
        text
        for answer in answers
        for text in re.findall(
            r"\d\.\d{4,}", json.dumps([answer.get("remarks"), [one["question"] for one in answer.get("questions", [])]])
        )
    ]
    assert words == []


def test_embeddings_never_leave(server: Server, hostile: Path, known: dict[str, tuple[int, int]], query: Path) -> None:
    with closing(sqlite3.connect(hostile / "index/catalog.sqlite")) as catalog:
        vectors = [bytes(row[0]) for row in catalog.execute("SELECT vector FROM vectors")]
    assert vectors
    bodies = [
        server.ask("GET", an_example(path, known)).body
        for method, path in ROUTES
        if method == "GET" and path != "/api/v1/events"
    ]
    bodies += [server.ask("POST", "/api/v1/search", **form(query, top_k=50)).body]
    bodies += [server.ask("POST", "/api/v1/faces", **form(query)).body]
    for body in bodies:
        for vector in vectors:
            assert vector[:32] not in body
            assert base64.b64encode(vector[:30])[:-4] not in body


def test_nothing_is_logged_but_the_address(tmp_path: Path, hostile: Path, query: Path) -> None:
    with serving(tmp_path, hostile / "index") as server:
        key = own_key(server, name="Secretname")
        assert enter(server, key).status == 204
        server.search(query)
        server.say(say="name", person=1, name="Hiddenname")
        server.ask("POST", "/api/v1/search", **form(("secret file.jpg", b"\xff\xd8\xff")))
        server.ask("GET", "/api/v1/photos/1/original")
        server.ask("POST", "/api/v1/statements", b"[" * 10_000, headers={"Content-Type": "application/json"})
        server.ask("GET", "/nothing?secret=query", headers={"Authorization": "Bearer secret-wrong-token"})
        server.raw(b"\x16\x03\x01 secret noise\r\n\r\n")
        noisy = b"--x\r\nsecret\x01header: a\r\n\r\nsecret\r\n--x--\r\n"
        server.ask("POST", "/api/v1/search", noisy, headers={"Content-Type": "multipart/form-data; boundary=x"})
        server.raw(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nHost: 127.0.0.1\r\n\r\n")
        with Events(server) as events:
            server.ask("POST", "/api/v1/refresh")
            events.until("run", "running")
            events.until("run", "done")
        assert server.log == f"facesearch: serving http://127.0.0.1:{server.port}/\n"
        assert server.stop() == 0
        assert server.log == f"facesearch: serving http://127.0.0.1:{server.port}/\n"


# Requests that no browser makes


def test_odd_requests_are_answered_or_refused(server: Server) -> None:
    token = f"Authorization: Bearer {TOKENS['look']}"
    host = f"Host: 127.0.0.1:{server.port}"

    def status(*lines: str, body: bytes = b"") -> int:
        found = server.raw("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
        return int(found.split()[1])

    assert status("GET /api/v1/people HTTP/1.0", token) == 421, "a request without Host"
    assert status("GET /api/v1/people HTTP/1.0", host, token) == 200
    assert status("GET /api/v1/people HTTP/1.1", token) == 400
    assert status("GET /api/v1/people HTTP/1.1", host, host, token) == 400
    assert status(f"GET http://127.0.0.1:{server.port}/api/v1/people HTTP/1.1", host, token) in (400, 404)
    assert status("GET http://evil.example/ HTTP/1.1", host) in (400, 401)
    assert status("GET http://evil.example/ HTTP/1.1", "Host: evil.example") == 421
    assert status("OPTIONS * HTTP/1.1", host, token) in (400, 404, 405)
    assert status("CONNECT evil.example:443 HTTP/1.1", host, token) in (400, 404, 405)
    assert status("BREW /api/v1/people HTTP/1.1", host, token) in (404, 405)
    assert status("GET /api/v1/people/ HTTP/1.1", host, token) == 404
    assert status("GET //api/v1/people HTTP/1.1", host, token) == 404
    assert status("GET /API/V1/PEOPLE HTTP/1.1", host, token) == 404
    assert status("GET /api/v1/people?limit=%ff&search=%ed%a0%80 HTTP/1.1", host, token) == 422
    assert status("GET /api/v1/people?search=%ed%a0%80%00 HTTP/1.1", host, token) == 200
    assert status("GET /api/v1/people?limit=1&limit=2 HTTP/1.1", host, token) == 200
    assert status(f"GET /api/v1/people?x={'y' * 600_000} HTTP/1.1", host, token) == 400
    assert status("GET /api/v1/people/9999999999999999999999 HTTP/1.1", host, token) == 422
    assert status("GET /api/v1/people/9007199254740992 HTTP/1.1", host, token) == 404
    assert status("GET /api/v1/people/-1 HTTP/1.1", host, token) == 422
    assert status("GET /api/v1/people/1.0 HTTP/1.1", host, token) in (200, 404, 422)
    assert status("HEAD /api/v1/people HTTP/1.1", host, token) == 405
    assert status("GET / HTTP/1.1", host, "Range: bytes=0-3") == 206
    assert status("GET / HTTP/1.1", host, "Range: bytes=" + ",".join(["0-1"] * 5000)) in (200, 206, 400, 416)
    assert status("GET / HTTP/1.1", host, f"Cookie: facesearch-{server.port}=\xff; a", "X: \xff") == 200
    assert status("GET / HTTP/1.1", host, "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n") in (400, 501)
    assert status("GET / HTTP/1.1", host, body=b"rest that nobody reads") == 200


def test_requests_in_one_go_are_answered_in_order(server: Server) -> None:
    one = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    other = f"GET /api/v1/people HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    found = server.raw(one + other + one, more=2)
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200", b"401", b"200"]


def test_more_connections_than_allowed_are_refused_and_given_back(server: Server) -> None:
    """Each costs memory, so there is a bound; who waits without a request is let go after a while."""
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(256)]
    try:
        refused = []
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
                refused.append(connection.recv(65536))
        assert all(answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n") for answer in refused), refused
        assert all(f"{name}: {value}".encode() in refused[0] for name, value in HEADERS.items())
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + 30
    while True:
        try:
            assert server.get("/healthz", right=None) == {"status": "ok"}
            break
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.05)


# Starting and ending


def refused(facesearch: Run, *arguments: str | Path) -> str:
    """The exit code and the one line with which the command refuses to serve."""
    ended = facesearch("serve", "--port", "0", *arguments, exit_code={2, 3})
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("facesearch: ")
    return f"{ended.returncode} {line.removeprefix('facesearch: ')}"


GOOD = "Anna look " + "t" * 20


@pytest.mark.parametrize(
    ("text", "mode", "complaint"),
    [
        (GOOD, 0o644, "others can read it (mode 0644); run chmod 600 on it"),
        (GOOD, 0o640, "others can read it (mode 0640); run chmod 600 on it"),
        ("", 0o600, "no token in it; write NAME RIGHTS TOKEN on each line"),
        ("# nothing\n\n", 0o600, "no token in it"),
        ("Anna look", 0o600, "line 1: write NAME RIGHTS TOKEN, separated by spaces"),
        (f"\n{GOOD} more", 0o600, "line 2: write NAME RIGHTS TOKEN, separated by spaces"),
        ("Anna all " + "t" * 20, 0o600, "line 1: rights all: choose look, name or owner"),
        ("Anna look short", 0o600, "line 1: the token is shorter than 16 characters; choose a random one"),
        (f"{GOOD}\nBert name {'t' * 20}", 0o600, "line 2: this token was given before; each needs its own"),
        ("An\x1bna look " + "t" * 20, 0o600, "line 1: the name has invisible characters, or more than 100"),
        ("Anna look " + "é" * 20, 0o600, "line 1: the token has characters that a header cannot carry; use ASCII"),
    ],
)  # fmt: skip
def test_a_token_file_that_cannot_be_used_is_told(tmp_path: Path, text: str, mode: int, complaint: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(InputError) as refused:
        Tokens.read(file)
    assert complaint in str(refused.value)
    assert "t" * 16 not in str(refused.value)


def test_what_cannot_be_served_is_told(facesearch: Run, tmp_path: Path, hostile: Path) -> None:
    index, tokens = hostile / "index", token_file(tmp_path)
    good: list[str | Path] = ["--index", index, "--token-file", tokens]

    def told(*options: str | Path) -> str:
        return refused(facesearch, *options)

    assert told("--index", index) == ("2 keys are printed on a terminal only, and this is none; give --token-file FILE")
    assert told("--index", index, "--token-file", tmp_path / "none").startswith("3 ")
    tokens.chmod(0o644)
    assert told(*good) == f"3 {tokens}: others can read it (mode 0644); run chmod 600 on it"
    tokens.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert told(*good, "--port", port) == (
            f"3 port {port} of 127.0.0.1 cannot be used (Address already in use); choose another port"
        )
    assert told(*good, "--host", "192.0.2.77").startswith("3 port 0 of 192.0.2.77 cannot be used")
    assert told(*good, "--host", "a..b") == "3 a..b: not an address of this machine (not a name); check the host"
    assert told(*good, "--rights", "all") == "2 --rights all: choose look, name or owner"
    for path in ("x", "/é"):
        assert told(*good, "--root-path", path).startswith(f"2 --root-path {path}: ")
    for folder in (tmp_path / "none", index):
        assert told(*good, "--uploads", folder).startswith(f"3 {folder}: ")
    assert told("--index", tmp_path / "none", "--token-file", tokens).startswith("3 ")


def test_a_missing_extra_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['facesearch', 'serve']\n"
        "from facesearch.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr == ("facesearch: the server needs fastapi; install it with pip install 'facesearch[web]'\n")


def members(session: int) -> set[str]:
    """The processes of a session that are left, by their command lines."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.add(stat.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(tmp_path: Path, hostile: Path, query: Path, number: int) -> None:
    """Also amid a question, a stream of events, a run, and a request that was begun."""
    shutil.copytree(hostile / "photos", tmp_path / "photos")
    shutil.copytree(hostile / "index", tmp_path / "index")
    with Index.open(tmp_path / "index") as index:
        index.move_folder(hostile / "photos", tmp_path / "photos")
    photo = shipped_photo("t1").reduce(2)
    for one in range(80):
        photo.putpixel((one, 0), (one, 1, 2))
        photo.save(tmp_path / f"photos/many {one}.jpg", quality=80)
    with serving(tmp_path, tmp_path / "index", copy=False, session=True) as server, Events(server) as events:
        server.ask("POST", "/api/v1/refresh")
        for kind, state in events:
            if kind == "run" and state.get("done", 0) >= 1:
                break
        assert len(members(server.process.pid)) >= 2
        found: list[Answer | OSError] = []

        def ask() -> None:
            try:
                found.append(server.ask("POST", "/api/v1/search", **form(*[query] * 15, each=True)))
            except OSError as error:
                found.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        with socket.create_connection(("127.0.0.1", server.port)) as begun:
            begun.sendall(b"POST /api/v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
            time.sleep(0.2)
            code = server.stop(number)
        asking.join()
        assert code == (0 if number == signal.SIGINT else 143)
        while members(server.process.pid):
            time.sleep(0.05)
        assert "Traceback" not in server.log
        assert len(server.log.splitlines()) == 1
    with Index.open(tmp_path / "index") as index:
        assert not index.check().faults


BOUND = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def test_an_index_that_cannot_be_written_to_is_read(tmp_path: Path, hostile: Path, query: Path) -> None:
    prefix = BOUND if os.geteuid() == 0 else []
    if prefix and (shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False).returncode):
        pytest.skip(f"{NOT_PERMITTED}: give up root's own")
    index = tmp_path / "index"
    shutil.copytree(hostile / "index", index)
    for path in (*index.rglob("*"), index):
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        with serving(tmp_path, index, copy=False, prefix=prefix) as server:
            (first, *_) = server.search(query)["queries"][0]["hits"]
            assert server.ask("GET", f"/api/v1/photos/{first['photo_id']}/picture").status == 200
            said = server.ask("POST", "/api/v1/statements", json={"say": "name", "person": 1, "name": "Anna"})
            assert said.status == 503
            assert str(index) in said.detail
            forgotten = server.ask("POST", "/api/v1/forget", json={"photo": first["photo_id"]})
            assert forgotten.status == 503
            assert str(index) in forgotten.detail
    finally:
        for path in (index, *index.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.mark.thorough
def test_a_full_disk_is_told(tmp_path: Path, hostile: Path, query: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip(f"{NOT_PERMITTED}: mount a small disk")
    try:
        shutil.copytree(hostile / "index", disk / "index", ignore=shutil.ignore_patterns("previews"))
        with serving(tmp_path, disk / "index", copy=False) as server:
            with (disk / "filler").open("ab", buffering=0) as stream:
                for piece in (65536, 4096, 1):
                    try:
                        while True:
                            stream.write(bytes(piece))
                    except OSError:
                        continue
            assert server.search(query)["queries"][0]["hits"]
            photo = server.search(query)["queries"][0]["hits"][0]["photo_id"]
            assert server.ask("GET", f"/api/v1/photos/{photo}/picture").status == 200
            answers = [
                server.ask(
                    "POST", "/api/v1/statements", json={"say": "name", "person": 1, "name": f"Anna {number}" * 20}
                )
                for number in range(300)
            ]
            full = [answer for answer in answers if answer.status != 201]
            assert {answer.status for answer in full} == {507}
            assert "full" in full[0].detail
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# On a terminal


KEY = re.compile(rb"http://(\S+?)/#key=(\S+)")


def read_until(ours: int, found: bytearray, keys: int) -> list[bytes]:
    """Read a terminal until it has shown so many keys; return them."""
    while len(KEY.findall(found)) < keys or not found.endswith(b"\n"):
        found += os.read(ours, 65536)
    return [key for _, key in KEY.findall(found)]


def test_a_terminal_shows_a_key_that_works_once_and_then_another(
    environment: dict[str, str], tmp_path: Path, hostile: Path
) -> None:
    process, ours = start_on_a_terminal(
        environment,
        tmp_path,
        "serve",
        "--index",
        hostile / "index",
        "--port",
        "0",
        "--rights",
        "owner",
        "--device",
        "cpu",
    )
    try:
        found = bytearray()
        (key,) = read_until(ours, found, 1)
        address = KEY.findall(found)[0][0].decode()
        server = Server(process, int(address.rpartition(":")[2]), tmp_path)
        assert address == f"127.0.0.1:{server.port}"
        assert server.get("/api/v1/session", right=None)["name"] is None, "the key is in the part that is not sent"
        answer = enter(server, key.decode())
        assert answer.status == 204
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert server.get("/api/v1/session", right=None, headers=cookie)["rights"] == "owner"
        assert enter(server, key.decode()).status == 401
        first, second = read_until(ours, found, 2)
        assert first == key != second
        own = cookie | {"Origin": f"http://127.0.0.1:{server.port}"}
        invited = server.ask("POST", "/api/v1/keys", json={"name": "B", "rights": "look"}, right=None, headers=own)
        assert enter(server, invited.json["key"]).status == 204
        assert enter(server, second.decode()).status == 204
        assert len(read_until(ours, found, 3)) == 3, "none for the key that was made for somebody else"
        assert "█".encode() not in found, "no code to photograph without another device"
        os.write(ours, b"\x03")
        rest = read_all(ours)
        assert process.wait(60) == 0
        assert b"Traceback" not in rest
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


def test_other_devices_get_a_code_to_photograph(environment: dict[str, str], tmp_path: Path, hostile: Path) -> None:
    """In a network of its own, so that nothing listens in that of the machine."""
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip(f"{NOT_PERMITTED}: a network of one's own")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*alone, sys.executable, "-m", "facesearch", "serve", "--index", hostile / "index", "--port", "0", "--host",
         "0.0.0.0", "--device", "cpu"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        found = bytearray()
        while not re.search("[█▀▄]{3}[^#]*\r\n\r\n".encode(), found) and "▀" not in found.decode(errors="replace"):
            found += os.read(ours, 65536)
        assert KEY.search(found)
        process.terminate()
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
