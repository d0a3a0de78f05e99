"""`facesearch sql`."""

from __future__ import annotations

from typing import Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.options import Device, IndexPath, Threads, examples, format_option, parse_duration
from facesearch.cli.stdout import for_stdout, write

__all__ = ["register"]

_EXAMPLES = examples(
    ('facesearch sql "SELECT path FROM photos WHERE faces > 10"', "group photos"),
    ('facesearch sql "SELECT substr(date, 1, 4) AS year, count(*) FROM photos GROUP BY year"', "photos per year"),
    (
        "facesearch sql \"SELECT path, similarity(vector, photo('me.jpg')) FROM photos_faces\"",
        "how similar all faces are",
    ),
)
_Query = Annotated[
    str, typer.Argument(metavar="SELECT", help="One statement on the views photos, faces, people and photos_faces.")
]
_Format = Annotated[str, format_option("table", "json", "jsonl", "csv")]
_MaxTime = Annotated[
    float,
    typer.Option(
        "--max-time", metavar="TIME", parser=parse_duration, help="Stop after this time, such as 90s or 10m.",
    ),
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="sql", short_help="Query the catalog with SQL.", epilog=_EXAMPLES)(sql)


def sql(
    query: _Query,
    layout: _Format = "table",
    max_time: _MaxTime = "60s",  # type: ignore[assignment]
    index_path: IndexPath = None,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Query the catalog with SQL. Nothing can be changed.

    photo('me.jpg') is the embedding of the largest face in a photo, similarity(a, b) the cosine of two embeddings.
    """
    from facesearch.api.index import Index
    from facesearch.render.tables import render_table

    with Index.open(index_path, device=device, threads=threads, observer=Console()) as index:
        found = index.sql(query, max_seconds=max_time)
    write(render_table(found, layout, for_stdout()))
