"""A database server whose disk is full: a push says so, claims nothing, and the next one completes it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from conftest import NOT_PERMITTED, Run, toy_face, toy_model_info
from postgres_server import PostgresServer

from facesearch.errors import GalleryError
from facesearch.galleries import push as push_module
from facesearch.galleries.address import Address
from facesearch.galleries.known import make, open_gallery
from facesearch.galleries.push import compare, pending, push
from facesearch.index.store import Store
from facesearch.types import PhotoFile

pytestmark = pytest.mark.thorough


class SmallDisk:
    """A disk of 24 MB, on which a server keeps its databases; its log of changes is elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, left: int = 0) -> None:
        """Fill the disk up to a number of bytes."""
        with open(self.folder / "filler", "ab", buffering=0) as stream:
            for piece in (65536, 4096, 1):
                try:
                    while shutil.disk_usage(self.folder).free >= left + piece:
                        stream.write(bytes(piece))
                except OSError:
                    continue

    def free(self) -> None:
        """Make space again."""
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(postgres: PostgresServer) -> Iterator[SmallDisk]:
    folder = postgres.folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip(f"{NOT_PERMITTED}: mount a small disk")
    with ExitStack() as stack:
        stack.callback(folder.rmdir)
        stack.callback(subprocess.run, ["umount", str(folder)], check=True)
        tables = folder / "tables"
        tables.mkdir()
        shutil.chown(tables, "nobody")
        postgres.execute(f"CREATE TABLESPACE small LOCATION '{tables}'")
        stack.callback(postgres.execute, "DROP TABLESPACE small")
        yield SmallDisk(folder)


@pytest.fixture
def address(disk: SmallDisk, postgres: PostgresServer) -> Iterator[str]:
    """An empty database on the small disk."""
    postgres.execute("CREATE DATABASE full_disk TABLESPACE small")
    yield postgres.address("full_disk")
    postgres.execute("DROP DATABASE full_disk")


def test_a_push_to_a_full_disk(
    facesearch: Run, indexed: Path, disk: SmallDisk, address: str, tmp_path: Path, library: Path
) -> None:
    shutil.copytree(indexed, tmp_path / "ix")
    facesearch("gallery", "connect", address, "--as", "laptop", "--index", "ix")
    facesearch("gallery", "init", "--index", "ix")
    disk.fill()
    full = facesearch("gallery", "push", "--index", "ix", exit_code=3)
    assert "No space left on device; free some space on the server" in full.stderr
    assert len(full.stderr.splitlines()) == 1
    (known,) = json.loads(facesearch("gallery", "status", "-f", "json", "--index", "ix").stdout)
    assert (known["faces"], known["this_index"]["to_push"]) == (0, 32)
    assert facesearch("query", library / "query.jpg", "--gallery", "gallery", exit_code=1).stdout.count("\n") <= 1
    disk.free()
    assert "pushed 32 faces" in facesearch("gallery", "push", "--index", "ix").stderr
    assert "32 faces the same" in facesearch("gallery", "verify", "--index", "ix").stderr


def test_a_disk_that_becomes_full_during_a_push(disk: SmallDisk, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the gallery has stored counts, and is not sent again; the batch that did not fit leaves nothing."""
    monkeypatch.setattr(push_module, "_BATCH", 100)
    model, rng = toy_model_info(dim=128), np.random.default_rng(2)
    make(Address.of(address), model)
    with Store.memory(model) as store:
        with store.transaction():
            root = store.catalog.roots.add(b"/photos")
            for number in range(2000):
                file = PhotoFile(b"%05d.jpg" % number, number, number)
                photo = store.catalog.photos.put(root.id, file, b"%032d" % number, "faces")
                store.catalog.faces.replace(photo, [toy_face(rng.normal(size=128))])
            store.catalog.changes.connect("gallery", address, "laptop")
        disk.fill(left=1_000_000)
        with closing(open_gallery(Address.of(address))) as shared:
            with pytest.raises(GalleryError, match="No space left on device; free some space on the server"):
                push(store, shared, store.catalog.changes.galleries()[0])
            (known,) = store.catalog.changes.galleries()
            left = pending(store, known)
            assert 0 < left < 2000
            found = compare(store, shared)
            assert (len(found.missing), found.different, found.extra) == (left, [], [])
        disk.free()
        with closing(open_gallery(Address.of(address))) as shared:
            done = push(store, shared, store.catalog.changes.galleries()[0])
            assert (done.faces, done.changed, done.compared) == (left, left, False)
            assert not compare(store, shared)
            assert shared.size().faces == 2000
