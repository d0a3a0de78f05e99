"""`facesearch doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from facesearch.cli.console import examples, for_stdout, write
from facesearch.cli.options import IndexPath, suggestions
from facesearch.errors import UsageError

__all__ = ["register"]

_EXAMPLES = examples(("facesearch doctor", "what is installed, what is missing, and what to do"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="doctor", short_help="Is everything that facesearch needs there and sound.", epilog=_EXAMPLES)(
        doctor
    )


def doctor(
    index_path: IndexPath = None,
    layout: Annotated[
        str, typer.Option("--format", "-f", help="table or json.", autocompletion=suggestions("table", "json"))
    ] = "table",
) -> None:
    """Look at packages, processors, models, disks, the index, and say what to do; exit code 3 where it cannot work."""
    if layout not in ("table", "json"):
        raise UsageError(f"--format {layout}: choose table or json")
    from facesearch.care.doctor import checkup
    from facesearch.render.findings import render_findings
    from facesearch.settings import default_index_path

    findings = checkup(index_path or default_index_path())
    if layout == "json":
        write([json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2) + "\n"])
    else:
        write([render_findings(findings, show=for_stdout())])
    if any(finding.broken for finding in findings):
        raise typer.Exit(3)
