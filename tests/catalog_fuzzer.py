"""Damage catalogs at random and run the real commands on them in one process: `python catalog_fuzzer.py 200 SEED`.

Prints one JSON object per damaged catalog: the damage, the exit code of each command, of `check --repair`, and of each
command again if the repair fixed something.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sample_library import shipped_photo

JUNK: list[Any] = [
    "", "text", "../../../etc/hostname", "\u202e", b"", b"\xff\xfe", b"../../../etc/hostname", b"/etc/hostname",
    b"a\0b", b"..", -1, 0, 1, 2, 3, 7, 2**40, -(2**63), 2**63 - 1, -1.5, 0.5, 1e308, float("inf"), "2020-13-45", "[]",
    "{}", "null", '{"finished": 1e400}', "faces", "failed", "a\0b", "x" * 5000,
    '{"finished": 1, "new": 1' + "0" * 400 + ', "changed": 0, "moved": 0, "seconds": 1, "stopped": false}',
]  # fmt: skip
COMMANDS = {
    "check": ["check"],
    "status": ["status", "-f", "json"],
    "failed": ["status", "--failed"],
    "query": ["query", "me.png", "-k", "3", "-q", "--device", "cpu", "--sheet", "hits.png", "--copy-to", "copied"],
    "export": ["export", "-f", "csv"],
    "index": ["index", "photos", "-q", "--device", "cpu", "-f", "json"],
}


def run(*arguments: str) -> int:
    """Run one command of facesearch, as a shell would start it; return its exit code."""
    from facesearch import cli

    sys.argv = ["facesearch", *arguments]
    return cli._run()


def library() -> None:
    """Make and index photos of every kind in a catalog: with faces, without, broken, hidden, forgotten."""
    group = shipped_photo("t1")
    Path("photos/deep").mkdir(parents=True)
    group.resize((640, round(640 * group.height / group.width))).save("photos/group.jpg")
    face = shipped_photo("astronaut").crop((120, 0, 330, 250))
    face.save("me.png")
    face.save("photos/deep/face.webp", quality=80)
    shutil.copy("photos/deep/face.webp", "photos/copy.webp")
    face.rotate(5).save("photos/gone.png")
    face.rotate(-5).save("photos/unwanted.png")
    shipped_photo("coffee").resize((200, 130)).save("photos/no face.png")
    Path("photos/broken.jpg").write_bytes(b"\xff\xd8 broken")
    for step in (
        ["index", "photos"],
        ["forget", "photos/unwanted.png", "--never-again", "--yes"],
        ["forget", "--face", "1", "--yes"],
    ):
        assert run(*step, "--index", "ix") == 0
    Path("photos/gone.png").unlink()
    assert run("index", "--index", "ix") == 0


def damage(rng: random.Random, path: Path) -> str:
    """Make one change to a catalog that no version of facesearch makes; return its description."""
    kind = rng.choice(["value"] * 6 + ["row", "table", "meta", "object", "bytes", "cut"])
    if kind in ("bytes", "cut"):
        data = bytearray(path.read_bytes())
        if kind == "cut":
            cut = rng.randrange(len(data))
            path.write_bytes(data[:cut])
            return f"cut to {cut} bytes"
        places = [rng.randrange(len(data)) for _ in range(rng.randint(1, 30))]
        for place in places:
            data[place] = rng.randrange(256)
        path.write_bytes(data)
        return f"bytes at {places}"
    with closing(sqlite3.connect(path, isolation_level=None)) as catalog:
        catalog.execute("PRAGMA ignore_check_constraints = ON")
        tables = [
            name
            for (name,) in catalog.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if catalog.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        ]
        table = rng.choice(tables)
        if kind == "table":
            catalog.execute(f"DELETE FROM {table}")
            return f"no rows in {table}"
        if kind == "object":
            kind, name = rng.choice(
                catalog.execute("SELECT type, name FROM sqlite_schema WHERE type != 'table' AND sql NOTNULL").fetchall()
            )
            catalog.execute(f"DROP {kind} {name}")
            return f"no {kind} {name}"
        if kind == "meta":
            catalog.execute("UPDATE meta SET value = ? WHERE key = ?", (rng.choice(JUNK), rng.choice(KEYS)))
            return "meta"
        order = f"LIMIT 1 OFFSET {rng.randrange(catalog.execute(f'SELECT count(*) FROM {table}').fetchone()[0])}"
        key = "rowid" if table != "meta" else "key"
        (chosen,) = catalog.execute(f"SELECT {key} FROM {table} {order}").fetchone()
        if kind == "row":
            catalog.execute(f"DELETE FROM {table} WHERE {key} = ?", (chosen,))
            return f"no {table} {chosen}"
        column = rng.choice([row[1] for row in catalog.execute(f"PRAGMA table_info({table})")])
        value = rng.choice(JUNK)
        new = "CAST(x'ff80' AS TEXT)" if rng.random() < 0.1 else "?"  # invalid UTF-8 that SQLite accepts as text
        try:
            values = (value, chosen) if new == "?" else (chosen,)
            catalog.execute(f"UPDATE OR IGNORE {table} SET {column} = {new} WHERE {key} = ?", values)
        except sqlite3.IntegrityError:  # the key column of a table accepts only numbers
            return "nothing"
        value = "no UTF-8" if new != "?" else value
        return f"{table}.{column} of {chosen} is {value!r}"


KEYS = ["uuid", "generation", "dead_since", "last_run", "index_type"]


def codes(index: Path) -> dict[str, int]:
    """Run each command; return the exit codes."""
    found = {}
    for name, arguments in COMMANDS.items():
        shutil.rmtree("copied", ignore_errors=True)
        found[name] = run(*arguments, "--index", str(index))
        for path in Path("copied").glob("*"):
            assert path.read_bytes() != Path("/etc/hostname").read_bytes(), (
                "copied a file that is not a photo of the index"
            )
    return found


def main(count: int, seed: int) -> None:
    """Damage, query, repair and query again."""
    from typer import main as typer_main

    from facesearch.models import resolve

    # Loading the networks and building the command line take most of the time, so all runs share them.
    resolve.open_model = functools.cache(resolve.open_model)
    typer_main.get_command = functools.cache(typer_main.get_command)
    rng = random.Random(seed)
    answer = os.fdopen(os.dup(1), "w")
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    library()
    for number in range(count):
        index = Path(f"damaged-{number}")
        shutil.copytree("ix", index)
        told = {"damage": damage(rng, index / "catalog.sqlite")}
        shutil.copytree(index, "kept")
        os.write(log, f"--- {number}: {told['damage']}\n".encode(errors="replace"))
        before = codes(index)
        shutil.rmtree(index)
        shutil.copytree("kept", index)
        repaired = run("check", "--repair", "--index", str(index))
        after = codes(index) if repaired == 0 and before["check"] else {}
        print(json.dumps({**told, "before": before, "repair": repaired, "after": after}), file=answer, flush=True)
        shutil.rmtree(index)
        shutil.rmtree("kept")


if __name__ == "__main__":
    os.chdir(tempfile.mkdtemp(prefix="damaged-catalogs-") if len(sys.argv) < 4 else sys.argv[3])
    main(int(sys.argv[1]), int(sys.argv[2]))
