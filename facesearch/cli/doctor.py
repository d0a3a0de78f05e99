"""`facesearch doctor`."""

from __future__ import annotations

from dataclasses import asdict, replace

import typer

from facesearch.cli.advice import with_options
from facesearch.cli.options import IndexPath, TableOrJson, examples
from facesearch.cli.stdout import for_stdout, write, write_json

__all__ = ["register"]

_EXAMPLES = examples(("facesearch doctor", "check everything and say what to do"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        name="doctor", short_help="Check the installation and say what to fix.", epilog=_EXAMPLES
    )(doctor)  # fmt: skip


def doctor(index_path: IndexPath = None, layout: TableOrJson = "table") -> None:
    """Check packages, devices, models, disks and the index. The exit code is 3 if facesearch cannot work."""
    from facesearch.api.models import doctor as examine
    from facesearch.render.findings import render_findings

    findings = [
        replace(finding, found=with_options(finding.found), advice=finding.advice and with_options(finding.advice))
        for finding in examine(index_path)
    ]
    if layout == "json":
        write_json({"findings": [asdict(finding) for finding in findings]}, indent=2, ascii_only=True)
    else:
        write([render_findings(findings, show=for_stdout())])
    if any(finding.broken for finding in findings):
        raise typer.Exit(3)
