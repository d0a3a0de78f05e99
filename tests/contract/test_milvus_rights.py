"""Milvus with users: who may ask, who may push, and what others are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import CHECKOUT
from milvus_server import running_milvus
from pymilvus import MilvusClient
from test_push import MODEL, connected, filled, is_same

from facesearch.errors import GalleryError, Hint
from facesearch.galleries.address import Address
from facesearch.galleries.known import make, open_gallery
from facesearch.galleries.push import push, remove

pytestmark = pytest.mark.slow

PASSWORD = "Secret-1"
PAGE = (CHECKOUT / "docs" / "galleries.md").read_text()


def privileges(who: str) -> list[str]:
    """Return the privileges that the documentation names for those who ask, push or remove."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {who} |")]
    return [name.strip(" `") for name in line.split("|")[2].split(",")]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A gallery on a server with three users: reader, writer, remover."""
    with running_milvus(with_users=True) as server:
        root = MilvusClient(server.address, user="root", password="Milvus", timeout=30)
        make(Address.of(server.address.replace("//", "//root:Milvus@")), MODEL)
        for user, parts in (("reader", 1), ("writer", 2), ("remover", 3)):
            root.create_user(user, PASSWORD)
            root.create_role(user)
            root.grant_role(user, user)
            for name in [name for who in ("query", "push", "remove")[:parts] for name in privileges(who)]:
                for collection in ("facesearch", "facesearch_faces_1"):
                    root.grant_privilege(user, "Collection", name, collection)
        time.sleep(3)  # until the server has told all its parts
        yield server.address
        root.close()


def of(address: str, user: str, password: str = PASSWORD) -> Address:
    return Address.of(address.replace("//", f"//{user}:{password}@"))


def test_the_documented_rights_are_enough_and_needed(tmp_path: Path, address: str) -> None:
    with (
        filled(tmp_path / "ix", address) as store,
        closing(open_gallery(of(address, "reader"))) as reader,
        closing(open_gallery(of(address, "writer"))) as writer,
        closing(open_gallery(of(address, "remover"))) as remover,
    ):
        with pytest.raises(GalleryError) as refused:
            push(store, reader, connected(store))
        assert refused.value.hint is Hint.GALLERY_RIGHTS
        push(store, writer, connected(store))
        assert is_same(store, writer)
        known = list(reader.records())
        assert len(known) == 12
        assert len(reader.search(reader.vectors(known[:1]), 5)[0]) == 5
        with pytest.raises(GalleryError):
            remove(store, writer, connected(store))
        remove(store, remover, connected(store))
        assert reader.indexes() == []


@pytest.mark.parametrize(("user", "password"), [("reader", "wrong"), ("nobody", PASSWORD)])
def test_who_is_not_known_is_refused_in_one_line(address: str, user: str, password: str) -> None:
    with pytest.raises(GalleryError, match="refuses the user or the password") as refused:
        open_gallery(of(address, user, password))
    assert password not in str(refused.value)
