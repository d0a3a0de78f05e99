"""`facesearch check`, `forget`, `backup` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import confirm, examples, for_stdout, say, write
from facesearch.cli.options import IndexPath, Wait, Yes
from facesearch.errors import InputError, UsageError
from facesearch.wording import counted

__all__ = ["register"]

_CHECK = examples(("facesearch check", "once in a while"), ("facesearch check --repair", "when it has found something"))
_FORGET = examples(
    ("facesearch forget photos/2019/ex.jpg --dry-run", "what would go"),
    ("facesearch forget photos/private --never-again", "a folder, and never look at it again"),
    ("facesearch forget --face 1234", "a single face, by its face_id"),
)
_BACKUP = examples(("facesearch backup faces.sqlite", "also while an index run is going on"))
_EXPORT = examples(
    ("facesearch export --no-vectors --format csv", "every face as a table"),
    ("facesearch export --format npz --output faces.npz", "for NumPy"),
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command, help_line, example in (
        (check, "Is the index sound; --repair mends it.", _CHECK),
        (forget, "Remove photos or faces for good.", _FORGET),
        (backup, "A consistent copy of the index.", _BACKUP),
        (export, "Hand out every face, with its vector.", _EXPORT),
    ):
        app.command(name=command.__name__, short_help=help_line, epilog=example)(command)


def check(
    index_path: IndexPath = None,
    mend: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    wait: Wait = 0,
) -> None:
    """Verify the database, every vector, the vector file and the model; exit code 3 when something is wrong."""
    from facesearch import upkeep
    from facesearch.errors import ModelError
    from facesearch.faces.model import model_info
    from facesearch.store.store import Store, default_index_path

    folder, show = index_path or default_index_path(), for_stdout()
    with Store.open(folder, write=mend, wait=wait, prepare=False) as store:
        health = upkeep.check(store)
        try:
            store.require_model(model_info(store.model.source or store.model.name))
        except ModelError as error:
            health.notes.append(f"its model is not there: {error}")
        if mend and (health.faults or health.bad_file):
            for line in health.faults:
                say(line)
            for line in upkeep.repair(store, health):
                write([f"{show(line)}\n"])
            health = upkeep.check(store)
    for line in health.notes:
        write([show(f"note: {line}") + "\n"])
    for line in health.faults:
        write([show(f"fault: {line}") + "\n"])
    if health.faults:
        mendable = health.bad_file or health.bad_vectors
        advice = "facesearch check --repair mends it" if mendable else "restore a backup, or index anew"
        raise InputError(f"{folder} is not sound; {advice}")
    write([show(f"{folder} is sound") + "\n"])


def forget(
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="A photo, or a folder of photos.")] = None,
    face: Annotated[int | None, typer.Option("--face", metavar="ID", help="One face, by its face_id.")] = None,
    root: Annotated[Path | None, typer.Option("--root", metavar="DIR", help="A whole root, as `roots remove`.")] = None,
    never_again: Annotated[
        bool, typer.Option("--never-again", help="Remember the photos' content, to leave them out of later runs.")
    ] = False,
    index_path: IndexPath = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed; do nothing.")] = False,
    yes: Yes = False,
    wait: Wait = 0,
) -> None:
    """Remove photos or faces from the index for good, vectors and all; the photos themselves are not touched."""
    if [path, face, root].count(None) != 2:
        raise UsageError("give one of PATH, --face ID and --root DIR")
    if never_again and path is None:
        raise UsageError("--never-again remembers photos; give the PATH of a photo or a folder")
    from facesearch import upkeep
    from facesearch.store.store import Store, default_index_path

    folder = index_path or default_index_path()
    with Store.open(folder, write=not dry_run, wait=wait, keep=not dry_run, notify=say) as store:
        if path is not None:
            photos = upkeep.photos_at(store, path)
            if not photos:
                raise InputError(f"{path}: no known photo is there; nothing was forgotten")
            what = f"{path}: {counted(len(photos), 'photo')} with all faces in {'it' if len(photos) == 1 else 'them'}"
        elif root is not None:
            found = upkeep.find_root(store, root)
            count = sum(1 for _ in store.catalog.photos(found.id))
            what = f"{root}: the folder and {counted(count, 'photo')} in it, with all faces,"
        else:
            if face is not None and not store.catalog.has_face(face):
                raise InputError(upkeep.no_such_face(face))
            what = f"face {face}"
        if dry_run:
            say(f"{what} would be deleted from the index for good; nothing was done")
            return
        what = f"{what} will be deleted from the index for good"
        confirm(what, yes=yes)
        if path is not None:
            upkeep.forget_photos(store, photos, never_again=never_again)
            if not never_again:
                say("forgotten; where the photos still are, the next `facesearch index` finds them again")
        elif root is not None:
            upkeep.remove_root(store, found)
        elif face is not None:
            upkeep.forget_face(store, face)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes: one SQLite file.")],
    index_path: IndexPath = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there.")] = False,
) -> None:
    """A consistent copy, also while an index run is going on; put it into a folder as catalog.sqlite to restore it."""
    from facesearch.store.store import Store, default_index_path

    if file.exists() and not overwrite:
        raise UsageError(f"{file} exists; give another name, or --overwrite")
    with Store.open(index_path or default_index_path()) as store:
        store.catalog.backup(file)


def export(
    layout: Annotated[str, typer.Option("--format", "-f", help="jsonl, csv or npz.")] = "jsonl",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; npz needs a file. [default: stdout]"),
    ] = None,
    vectors: Annotated[bool, typer.Option("--vectors/--no-vectors", help="With the vectors, or without.")] = True,
    index_path: IndexPath = None,
) -> None:
    """Hand out every face: photo, box, landmarks, score, ids, and its vector."""
    if layout not in ("jsonl", "csv", "npz"):
        raise UsageError(f"--format {layout}: choose jsonl, csv or npz")
    if layout == "npz" and output is None:
        raise UsageError("--format npz is binary; name a file with --output")
    from facesearch.render.dump import dump_text, save_npz
    from facesearch.store.store import Store, default_index_path
    from facesearch.upkeep import every_face

    with Store.open(index_path or default_index_path()) as store:
        store.catalog.begin(write=False)
        faces = every_face(store)
        if layout == "npz":
            assert output is not None
            save_npz(faces, output, vectors=vectors, dim=store.model.dim)
        elif output is None:
            write(dump_text(faces, layout, vectors=vectors, show=for_stdout()))
        else:
            try:
                with output.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
                    stream.writelines(dump_text(faces, layout, vectors=vectors))
            except OSError as error:
                raise InputError(f"{output}: cannot be written ({error.strerror}); check the folder") from error
