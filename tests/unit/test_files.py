"""Files: atomic replacement, hashes, and messages about unreadable ones."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from facesearch.files import replacing, sha256, size_of, sync_folder, unfinished, write_reserve
from facesearch.settings import write_json


def write(path: Path, data: bytes, *, fail: bool = False) -> None:
    with replacing(path) as stream:
        stream.write(data)
        assert unfinished(path).exists()
        if fail:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write(path, b"one")
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600
    write(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write(path, b"one")
    with pytest.raises(OSError, match="No space left"):
        write(path, b"two", fail=True)
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    unfinished(tmp_path / "kept").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        write(tmp_path / "kept", b"one")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    write(tmp_path / "kept", b"one")
    assert (tmp_path / "kept").read_bytes() == b"one"


def test_a_link_in_its_place_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "kept").symlink_to(tmp_path / "precious")
    write(tmp_path / "kept", b"one")
    assert not (tmp_path / "kept").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_settings_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_json(tmp_path / "settings.json", {"é": 1})
    finally:
        os.umask(before)
    assert (tmp_path / "settings.json").read_text() == '{\n "\\u00e9": 1\n}\n'
    assert (tmp_path / "settings.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("code", "told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_flushed_is_no_failure_but_a_failing_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, told: bool
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", failing)
    if told:
        with pytest.raises(OSError, match="Input/output error"):
            sync_folder(tmp_path)
    else:
        sync_folder(tmp_path)


def test_digests_and_sizes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert size_of(path) == 0
    write_reserve(path, 70_000)
    assert size_of(path) == 70_000
    assert sha256(path) == hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(FileExistsError):
        write_reserve(path, 1)
    assert size_of(path) == 70_000
