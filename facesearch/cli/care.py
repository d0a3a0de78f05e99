"""`facesearch check`, `forget`, `backup` and `export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.console import confirm, examples, for_stdout, say, write
from facesearch.cli.options import IndexPath, Wait, Yes
from facesearch.errors import InputError, UsageError

__all__ = ["register"]

_LISTED = 5

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
    from facesearch.care import check as checking
    from facesearch.settings import default_index_path

    folder, show = index_path or default_index_path(), for_stdout()
    health = checking.check(folder, repair=mend, wait=wait)
    for line in health.done:
        write([f"{show(line)}\n"])
    for line in health.notes:
        write([show(f"note: {line}") + "\n"])
    for line in health.faults:
        write([show(f"fault: {line}") + "\n"])
    if health.faults:
        mendable = health.mendable and not mend
        advice = "facesearch check --repair mends it" if mendable else "restore a backup, or index again"
        raise InputError(f"{folder} is not sound; {advice}")
    write([show(f"{folder} is sound") + "\n"])


def forget(
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="A photo, or a folder of photos.")] = None,
    face: Annotated[int | None, typer.Option("--face", metavar="ID", help="One face, by its face_id.")] = None,
    root: Annotated[Path | None, typer.Option("--root", metavar="DIR", help="A whole root, as `roots remove`.")] = None,
    never_again: Annotated[
        bool,
        typer.Option("--never-again", help="Forget identical copies too, and keep this content out of later runs."),
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
    from facesearch.care import forget as forgetting
    from facesearch.index.store import Store
    from facesearch.settings import default_index_path

    folder = index_path or default_index_path()
    with Store.open(folder, write=not dry_run, wait=wait, keep=not dry_run, notify=say) as store:
        if path is not None:
            going = forgetting.to_forget_photos(store, path, never_again=never_again)
        elif root is not None:
            going = forgetting.to_forget_root(store, root)
        else:
            assert face is not None
            going = forgetting.to_forget_face(store, face)
        what = f"{going.what}, {_with_copies(going.copies)}," if going.takes_copies else going.what
        if dry_run:
            say(f"{what} would be deleted from the index for good; nothing was done")
            for name in going.copies:
                say(f"identical: {name}")
            return
        confirm(f"{what} will be deleted from the index for good", yes=yes)
        forgetting.forget(store, going)
    if going.takes_copies:
        say(f"forgotten {_with_copies(going.copies)}")
    elif never_again:
        say("forgotten; later runs leave this content out")
    elif path is not None:
        say("forgotten; where the photos still are, the next `facesearch index` finds them again")
        if going.copies:
            say(f"identical copies stay in the index: {_listed(going.copies)}; --never-again forgets them too")


def _with_copies(copies: Sequence[str]) -> str:
    noun = "identical copy" if len(copies) == 1 else "identical copies"
    return f"with {len(copies):,} {noun}: {_listed(copies)}"


def _listed(copies: Sequence[str]) -> str:
    more = f" and {len(copies) - _LISTED:,} more" if len(copies) > _LISTED else ""
    return ", ".join(copies[:_LISTED]) + more


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes: one SQLite file.")],
    index_path: IndexPath = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there.")] = False,
) -> None:
    """A consistent copy, also while an index run is going on; put it into a folder as catalog.sqlite to restore it."""
    from facesearch.index.store import Store
    from facesearch.settings import default_index_path

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
    from facesearch.care.export import every_face
    from facesearch.index.store import Store
    from facesearch.render.dump import dump_text, save_npz
    from facesearch.settings import default_index_path

    with Store.open(index_path or default_index_path()) as store:
        store.catalog.view()
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
