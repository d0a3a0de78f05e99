"""`facesearch check`, `forget`, `backup` and `export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.advice import with_options
from facesearch.cli.console import Console
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import DryRun, IndexPath, Wait, Yes, examples, one_of
from facesearch.cli.stdout import emptied_file, for_stdout, write
from facesearch.errors import InputError, UsageError

if TYPE_CHECKING:
    from facesearch.api.results import Forgetting

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

_Repair = Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")]
_Forgotten = Annotated[Path | None, typer.Argument(metavar="PATH", help="A photo, or a folder of photos.")]
_Face = Annotated[int | None, typer.Option("--face", metavar="ID", help="One face, by its face_id.")]
_Root = Annotated[Path | None, typer.Option("--root", metavar="DIR", help="A whole root, as `roots remove`.")]
_NeverAgain = Annotated[
    bool,
    typer.Option("--never-again", help="Forget identical copies too, and keep this content out of later runs."),
]
_BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes: one SQLite file.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there.")]
_ExportFormat = Annotated[
    str,
    typer.Option("--format", "-f", help="jsonl, csv or npz.", callback=one_of("--format", "jsonl", "csv", "npz")),
]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to; npz needs a file. [default: stdout]"),
]
_Vectors = Annotated[bool, typer.Option("--vectors/--no-vectors", help="With the vectors, or without.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command, help_line, example in (
        (check, "Is the index sound; --repair mends it.", _CHECK),
        (forget, "Remove photos or faces for good.", _FORGET),
        (backup, "A consistent copy of the index.", _BACKUP),
        (export, "Hand out every face, with its vector.", _EXPORT),
    ):
        app.command(name=command.__name__, short_help=help_line, epilog=example)(command)


def check(index_path: IndexPath = None, mend: _Repair = False, wait: Wait = 0) -> None:
    """Verify the database, every vector, the vector file and the model; exit code 3 when something is wrong."""
    from facesearch.api.index import Index

    show = for_stdout()
    with Index.open(index_path, wait=wait) as index:
        health = index.check(repair=mend)
    notes, faults = (f"note: {line}" for line in health.notes), (f"fault: {line}" for line in health.faults)
    write([show(with_options(line)) + "\n" for line in (*health.done, *notes, *faults)])
    if health.faults:
        mendable = health.mendable and not mend
        advice = "facesearch check --repair mends it" if mendable else "restore a backup, or index again"
        raise InputError(f"{index.path} is not sound; {advice}")
    write([show(f"{index.path} is sound") + "\n"])


def forget(
    path: _Forgotten = None,
    face: _Face = None,
    root: _Root = None,
    never_again: _NeverAgain = False,
    index_path: IndexPath = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = 0,
) -> None:
    """Remove photos or faces from the index for good, vectors and all; the photos themselves are not touched."""
    from facesearch.api.index import Index

    def ask(going: Forgetting) -> None:
        confirm(f"{_what(going)} will be deleted from the index for good", yes=yes)

    with Index.open(index_path, wait=wait, observer=Console()) as index:
        if dry_run:
            going = index.to_forget(path, face=face, folder=root, never_again=never_again)
            say(f"{_what(going)} would be deleted from the index for good; nothing was done")
            for name in going.copies:
                say(f"identical: {name}")
            return
        gone = index.forget(path, face=face, folder=root, never_again=never_again, confirm=ask)
    if gone.takes_copies:
        say(f"forgotten {_with_copies(gone.copies)}")
    elif never_again:
        say("forgotten; later runs leave this content out")
    elif path is not None:
        say("forgotten; where the photos still are, the next `facesearch index` finds them again")
        if gone.copies:
            say(f"identical copies stay in the index: {_listed(gone.copies)}; --never-again forgets them too")


def _what(going: Forgetting) -> str:
    return f"{going.what}, {_with_copies(going.copies)}," if going.takes_copies else going.what


def _with_copies(copies: Sequence[str]) -> str:
    noun = "identical copy" if len(copies) == 1 else "identical copies"
    return f"with {len(copies):,} {noun}: {_listed(copies)}"


def _listed(copies: Sequence[str]) -> str:
    more = f" and {len(copies) - _LISTED:,} more" if len(copies) > _LISTED else ""
    return ", ".join(copies[:_LISTED]) + more


def backup(file: _BackupFile, index_path: IndexPath = None, overwrite: _Overwrite = False) -> None:
    """A consistent copy, also while an index run is going on; put it into a folder as catalog.sqlite to restore it."""
    from facesearch.api.index import Index

    with Index.open(index_path) as index:
        index.backup(file, overwrite=overwrite)


def export(
    layout: _ExportFormat = "jsonl",
    output: _Output = None,
    vectors: _Vectors = True,
    index_path: IndexPath = None,
) -> None:
    """Hand out every face: photo, box, landmarks, score, ids, and its vector."""
    if layout == "npz" and output is None:
        raise UsageError(f"--format npz is binary; name a file with --output{_emptied()}")
    from facesearch.api.index import Index
    from facesearch.render.dump import dump_text, save_npz, save_text

    with Index.open(index_path) as index:
        if output is None:
            write(dump_text(index.export_faces(), layout, vectors=vectors, show=for_stdout()))
        elif layout == "npz":
            save_npz(index.export_faces(), output, vectors=vectors, dim=index.model.dim)
        else:
            save_text(index.export_faces(), layout, output, vectors=vectors)


def _emptied() -> str:
    """That a shell has made, or emptied, the file that stdout goes to."""
    file = emptied_file()
    return "" if file is None else f" instead of >: {file} is empty now"
