"""`facesearch export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli.messages import say
from facesearch.cli.options import IndexPath, examples, format_option
from facesearch.cli.stdout import emptied_file, for_stdout, is_readable_by_others, output_path, write
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
    bool,
    typer.Option("--vectors", help="Include the embeddings (biometric data). A file of --output gets mode 0600."),
]


_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        name="export", short_help="Write every face to a file or to stdout.", epilog=_EXAMPLES
    )(export)  # fmt: skip


def export(
    layout: _Format = "jsonl",
    output: _Output = None,
    vectors: _Vectors = False,
    overwrite: _Overwrite = False,
    index_path: IndexPath = None,
) -> None:
    """Write every face of the index: its photo, box, landmarks, scores and ids, and with --vectors its embedding."""
    output = output_path(output)
    if layout == "npz" and output is None:
        raise UsageError(f"--format npz is binary; name a file with --output{_emptied()}")
    from facesearch.api.index import Index
    from facesearch.render.dump import dump_text, save_npz, save_text

    with Index.open(index_path) as index:
        if output is not None:
            index.check_output(output, overwrite=overwrite)
        if output is None:
            if vectors and is_readable_by_others():
                say("the file on stdout is readable by others; --output makes one with mode 0600")
            write(dump_text(index.export_faces(), layout, vectors=vectors, show=for_stdout()))
        elif layout == "npz":
            save_npz(index.export_faces(), output, vectors=vectors, dim=index.model.dim)
        else:
            save_text(index.export_faces(), layout, output, vectors=vectors)


def _emptied() -> str:
    """Name the file that the shell has created or emptied for stdout."""
    file = emptied_file()
    return "" if file is None else f" instead of >: {file} is empty now"
