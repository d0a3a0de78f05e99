"""`facesearch export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.options import IndexPath, examples, format_option
from facesearch.cli.stdout import emptied_file, for_stdout, write
from facesearch.errors import UsageError

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch export --format csv > faces.csv", "every face as a table"),
    ("facesearch export --format npz --vectors --output faces.npz", "arrays for NumPy, with the embeddings"),
)

_Format = Annotated[str, format_option("jsonl", "csv", "npz")]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to a file; npz needs one. [default: stdout]"),
]
_Vectors = Annotated[
    bool, typer.Option("--vectors", help="Include the embeddings. They are biometric data; the file gets mode 0600.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        name="export", short_help="Write every face to a file or to stdout.", epilog=_EXAMPLES
    )(export)  # fmt: skip


def export(
    layout: _Format = "jsonl",
    output: _Output = None,
    vectors: _Vectors = False,
    index_path: IndexPath = None,
) -> None:
    """Write every face of the index: its photo, box, landmarks, scores and ids, and with --vectors its embedding."""
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
    """Name the file that the shell has created or emptied for stdout."""
    file = emptied_file()
    return "" if file is None else f" instead of >: {file} is empty now"
