"""The findings of `facesearch doctor` as text: the facts, then what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from facesearch.care.doctor import Finding
from facesearch.render.text import table

__all__ = ["render_findings"]


def render_findings(findings: Sequence[Finding], *, show: Callable[[str], str] = str) -> str:
    """Return one line per finding, then one line per thing to do."""
    marked = [(show(finding.about), show(finding.found), _mark(finding)) for finding in findings]
    facts = table(
        ("about", "found", ""), [(about, mark + found, "") for about, found, mark in marked], ("about", "found")
    )
    _head, *lines = facts.splitlines(keepends=True)
    todo = [show(f"{finding.about}: {finding.advice}") + "\n" for finding in findings if finding.advice]
    return "".join([*lines, "\n", *(["What to do:\n", *todo] if todo else ["Nothing to do.\n"])])


def _mark(finding: Finding) -> str:
    return "!! " if finding.broken else "! " if finding.advice else ""
