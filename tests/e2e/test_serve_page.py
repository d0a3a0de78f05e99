"""What docs/serve.md says: its examples run, behind nginx too, and a shared gallery is served."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from conftest import CHECKOUT, Run
from postgres_server import PostgresServer
from served import TOKENS, Served, Visits, serving

PAGE = CHECKOUT / "docs/serve.md"
LOOK = {"Authorization": f"Bearer {TOKENS['look']}"}


def block(kind: str, containing: str) -> str:
    blocks = re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return str(found)


@pytest.mark.parametrize(("kind", "containing"), [("bash", "curl"), ("python", "urlopen")])
def test_the_examples_run(served: Served, library: Path, tmp_path: Path, kind: str, containing: str) -> None:
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    text = block(kind, containing).replace("http://127.0.0.1:8710", served.address.rstrip("/"))
    program = ["bash", "-euc", text] if kind == "bash" else [sys.executable, "-c", text]
    environment = {**os.environ, "TOKEN": TOKENS["look"]}
    done = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bea.jpg" in done.stdout
    assert "strong" in done.stdout


# Behind nginx


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(folder: Path, location: str) -> Iterator[str]:
    """Run nginx with one location; yield its address."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    port = free_port()
    (folder / "logs").mkdir()
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"server {{ listen 127.0.0.1:{port};\n{location}\n}} }}\n"
    )
    with subprocess.Popen([program, "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.DEVNULL) as running:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


@pytest.mark.thorough
def test_behind_nginx_under_a_path(indexed: Path, tmp_path: Path) -> None:
    shutil.copytree(indexed, tmp_path / "index")
    options = ("--root-path", "/faces", "--allow-host", "photos.example.org")
    with serving(tmp_path / "index", tmp_path, *options) as served:
        location = block("nginx", "location").replace("http://127.0.0.1:8710/", served.address)
        with nginx(tmp_path, location) as address:
            wait_for(f"{address}/faces/healthz")
            assert b"facesearch" in get(f"{address}/faces/")
            assert b"import" in get(f"{address}/faces/static/js/main.js")
            status = json.loads(get(f"{address}/faces/api/v1/status", **LOOK))
            assert status["photos"] == 20
            named = {"Host": "photos.example.org"}
            assert json.loads(get(f"{address}/faces/api/v1/status", **LOOK, **named))["photos"] == 20
            with pytest.raises(HTTPError, match="421"):
                get(f"{address}/faces/api/v1/status", **LOOK, Host="evil.example.org")
            cookie = session_cookie(f"{address}/faces", origin=address)
            assert "Path=/faces" in cookie
            assert "HttpOnly" in cookie


def session_cookie(base: str, origin: str) -> str:
    body = json.dumps({"key": TOKENS["look"]}).encode()
    headers = {"Origin": origin, "Content-Type": "application/json"}
    with urlopen(Request(f"{base}/api/v1/session", body, headers), timeout=30) as answer:
        return str(answer.headers["Set-Cookie"])


def get(url: str, **headers: str) -> bytes:
    with urlopen(Request(url, headers=headers), timeout=30) as answer:
        return bytes(answer.read())


def wait_for(url: str) -> None:
    import time

    for _ in range(100):
        try:
            get(url)
        except OSError:
            time.sleep(0.1)
        else:
            return
    get(url)


# A shared gallery


@pytest.fixture
def gallery(
    facesearch: Run, environment: dict[str, str], indexed: Path, postgres: PostgresServer, tmp_path: Path
) -> str:
    """A gallery that an index of the sample library was pushed to."""
    shutil.copytree(indexed, tmp_path / "ix")
    address = postgres.database()
    facesearch("gallery", "connect", address, "--as", "laptop", "--index", tmp_path / "ix")
    facesearch("gallery", "init", "--index", tmp_path / "ix")
    facesearch("gallery", "push", "--index", tmp_path / "ix")
    shutil.rmtree(tmp_path / "ix")  # no index is needed
    return address


@contextmanager
def serving_gallery(gallery: str, environment: dict[str, str], folder: Path, *options: str) -> Iterator[Served]:
    (folder / "gallery-tokens").write_text("".join(f"{name} {name} {token}\n" for name, token in TOKENS.items()))
    (folder / "gallery-tokens").chmod(0o600)
    command = [sys.executable, "-m", "facesearch", "serve", "--gallery", gallery, "--port", "0", "--device", "cpu"]
    running = subprocess.Popen(
        [*command, "--token-file", folder / "gallery-tokens", *options], env=environment, cwd=folder,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running.stderr is not None
        told = running.stderr.readline()
        assert "http://" in told, told + running.stderr.read()
        yield Served(told[told.find("http://") :].split()[0], folder, folder)
    finally:
        running.terminate()
        running.communicate(timeout=30)


def photo_of(path: Path) -> dict[str, str]:
    import base64

    return {"name": path.name, "data": base64.b64encode(path.read_bytes()).decode()}


def test_a_gallery_answers_like_its_index(
    gallery: str, environment: dict[str, str], served: Served, library: Path, tmp_path: Path
) -> None:
    question = {"photos": [photo_of(library / "query.jpg")]}
    with serving_gallery(gallery, environment, tmp_path) as server:
        here, there = (one.ask("search", question)["queries"][0]["hits"] for one in (served, server))
        assert [(hit["path"], hit["similarity"]) for hit in there] == [(hit["path"], hit["similarity"]) for hit in here]
        assert {hit["index"] for hit in there} == {"laptop"}
        photo, face = there[0]["photo_id"], there[0]["face_id"]
        assert server.ask(f"photos/{photo}?index=laptop")["faces"] == served.ask(f"photos/{photo}")["faces"]
        for path in (
            f"photos/{photo}/picture?side=320",
            f"photos/{photo}/original",
            f"faces/{face}/picture?photo={photo}",
        ):
            beside = "&" if "?" in path else "?"
            data = get(f"{server.address}api/v1/{path}{beside}index=laptop", **LOOK)
            assert data == get(f"{served.address}api/v1/{path.partition('?photo')[0]}", **LOOK)
        for path in (f"photos/{photo}/picture?index=nobody", "photos/999/picture?index=laptop", "people", "review"):
            with pytest.raises(HTTPError, match="404"):
                server.ask(path)
        assert server.ask("session")["serves"] == "gallery"
        assert server.ask("status")["faces"] == 32
        with pytest.raises(HTTPError, match="422"):
            server.ask("search", {"face_ids": [1]})


def test_a_gallery_shows_photos_where_they_are_here(
    gallery: str, environment: dict[str, str], library: Path, tmp_path: Path
) -> None:
    shutil.copytree(library / "photos", tmp_path / "mounted")
    (tmp_path / "mounted/portraits/bea.jpg").write_bytes(b"another file")
    question = {"photos": [photo_of(library / "query.jpg")]}
    pairs = ("--map", f"{library}/photos={tmp_path}/mounted")
    with serving_gallery(gallery, environment, tmp_path, *pairs) as server:
        by_name: dict[str, dict[str, Any]] = {
            Path(hit["path"]).name: hit for hit in server.ask("search", question)["queries"][0]["hits"]
        }
        photo = by_name["everybody.jpg"]["photo_id"]
        assert get(f"{server.address}api/v1/photos/{photo}/original?index=laptop", **LOOK)
        changed = by_name["bea.jpg"]["photo_id"]
        with pytest.raises(HTTPError, match="415"):
            get(f"{server.address}api/v1/photos/{changed}/picture?index=laptop", **LOOK)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--map", "a=b"), "--map is for a shared gallery; give --gallery too"),
        (("--gallery", "g", "--index", "ix"), "--index and --gallery contradict each other; omit one of them"),
        (("--gallery", "g", "--map", "a"), "--map a: write OLD=NEW, two folders"),
    ],
)
def test_wrong_options(facesearch: Run, options: tuple[str, ...], told: str) -> None:
    assert told in facesearch("serve", *options, exit_code=2).stderr


@pytest.mark.thorough
def test_the_page_of_a_gallery(
    gallery: str, environment: dict[str, str], library: Path, tmp_path: Path, visit: Visits
) -> None:
    """Find and Answer, in a browser; what needs an index is not offered."""
    with serving_gallery(gallery, environment, tmp_path) as server:
        visits = Visits(visit.browser, server)
        page = visits(screens=False)
        page.set_input_files("#choose", str(library / "query.jpg"))
        page.wait_for_selector(".results:not([aria-busy]) .cell")
        assert "laptop" in page.locator(".cell").first.inner_text()
        assert page.locator("nav").is_hidden()
        page.locator(".cell a.picture").first.click()
        page.wait_for_selector(".frame")
        assert page.locator(".namer").count() == 0
        visits.end()
