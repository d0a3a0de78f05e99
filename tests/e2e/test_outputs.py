"""Where data goes: files that exist, the index itself, `-`, stdout; and who else is in a photo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Run


def test_an_export_replaces_no_file_unasked(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    photo = tmp_path / "me.jpg"
    photo.write_bytes(b"a photo")
    refused = facesearch("export", "--index", indexed, "-o", "me.jpg", exit_code=2)
    assert "me.jpg: already exists; give another name, or --overwrite" in refused.stderr
    assert photo.read_bytes() == b"a photo"
    facesearch("export", "--index", indexed, "-o", "me.jpg", "--overwrite")
    assert photo.read_bytes().startswith(b'{"path"')
    assert "a folder; give a file" in facesearch("export", "--index", indexed, "-o", ".", exit_code=2).stderr


@pytest.mark.parametrize("name", ["catalog.sqlite", "faces.faiss", "writer.lock", "new.jsonl"])
def test_no_output_goes_into_the_index(facesearch: Run, indexed: Path, name: str) -> None:
    def contents() -> dict[str, bytes]:
        """Return the files but those that SQLite keeps beside the catalog, which the first reader leaves there."""
        kept = [path for path in indexed.iterdir() if not path.name.endswith(("-shm", "-wal"))]
        return {path.name: path.read_bytes() for path in kept}

    before = contents()
    for command in (("export", "-o", indexed / name, "--overwrite"), ("backup", indexed / name, "--overwrite")):
        refused = facesearch(*command, "--index", indexed, exit_code=2)
        assert "part of the index itself" in refused.stderr
    assert contents() == before


def test_stdout_can_be_named(environment: dict[str, str], indexed: Path, tmp_path: Path) -> None:
    export = [sys.executable, "-m", "facesearch", "export", "--index", str(indexed)]

    def output(*options: str) -> bytes:
        return subprocess.run(
            [*export, *options], env=environment, cwd=tmp_path, check=True, capture_output=True
        ).stdout

    assert output("-o", "-") == output("-o", "/dev/stdout") == output()
    (tmp_path / "faces.npz").write_bytes(output("-f", "npz", "-o", "/dev/stdout"))
    with np.load(tmp_path / "faces.npz") as arrays:
        assert len(arrays["paths"]) == 32
    assert sorted(os.listdir(tmp_path)) == ["faces.npz", "home"]


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False)])
def test_embeddings_in_a_file_for_all_to_read_cause_a_warning(
    environment: dict[str, str], indexed: Path, tmp_path: Path, mode: int, warned: bool
) -> None:
    command = [sys.executable, "-m", "facesearch", "export", "--vectors", "--index", str(indexed)]
    with (tmp_path / "faces.jsonl").open("wb") as stream:
        os.fchmod(stream.fileno(), mode)
        done = subprocess.run(command, env=environment, stdout=stream, stderr=subprocess.PIPE, text=True, check=True)
    assert ("readable by others" in done.stderr) == warned


def test_several_folders_are_not_forgotten_at_once(facesearch: Run, library: Path, indexed: Path) -> None:
    for option in ("--folder", "--root"):
        refused = facesearch(
            "forget", "--folder", library / "photos", option, "other", "--yes", "--index", indexed, exit_code=2
        )
        assert "--folder other: delete one folder at a time" in refused.stderr


def test_the_person_searched_for_as_company_causes_a_warning(facesearch: Run, library: Path, indexed: Path) -> None:
    ada, dan = (library / f"photos/portraits/{name}.jpg" for name in ("ada", "dan"))
    asked = ("query", ada, "--index", indexed, "-f", "paths")
    nobody = facesearch(*asked, "--without", ada, exit_code=1)
    assert nobody.stdout == ""
    assert f"--without {ada}: may show the person searched for, not somebody else (similarity 1.00)" in nobody.stderr
    assert "with some people excluded" in nobody.stderr
    assert f"--with {ada}: may show the person" in facesearch(*asked, "--with", ada, exit_code=1).stderr
    apart = facesearch(*asked, "--without", dan)
    assert "may show" not in apart.stderr
    assert {Path(line).name for line in apart.stdout.splitlines()} == {"ada.jpg", "left half.png"}


def test_a_group_photo_as_company_is_explained(facesearch: Run, library: Path, indexed: Path) -> None:
    group = library / "photos/party/everybody.jpg"
    told = facesearch("query", library / "query.jpg", "--with", group, "--index", indexed, exit_code=(0, 1)).stderr
    assert f"{group} shows 6 faces: using the largest" in told
    assert "--face selects" not in told
    assert "facesearch who --crops-to DIR" in told
