"""Extract photos that may have ended an earlier run in a separate process, to find out whether they did.

That a photo was in progress when a process died proves nothing: the process may have been killed from outside. Only a
process that died while it processed a single photo identifies that photo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from facesearch.errors import Hint
from facesearch.indexing.contents import Content, Item
from facesearch.indexing.extraction import Outcome, extract
from facesearch.indexing.options import Options
from facesearch.isolation import Isolation, ProcessDiedError
from facesearch.models.protocol import FaceModel

__all__ = ["IsolatedExtractor"]

_DEATHS = 2


class IsolatedExtractor:
    """Extracts single photos in another process, started when it is first needed. Use as a context manager."""

    def __init__(self, model: FaceModel, options: Options, *, cancelled: Callable[[], bool]) -> None:
        self._options = options
        self._cancelled = cancelled
        self._process = Isolation(_begin, model)

    def __enter__(self) -> Self:
        self._process.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.__exit__(*error)

    def extract(self, content: Content[Item]) -> Outcome[Item] | None:
        """Return the outcome of a photo; it fails if the process has died twice of it.

        None if the process died and the run was cancelled: the same cause may have ended both.
        """
        deaths = 0
        while True:
            try:
                return self._process(_extract_here, content, self._options)
            except ProcessDiedError as died:
                if self._cancelled():
                    return None
                if not died.started:
                    reason = f"may have ended an earlier run, and cannot be processed alone now ({died.how})"
                    return Outcome(content.without_data(), [], None, reason, lasting=False)
                deaths += 1
                if deaths == _DEATHS:
                    reason = f"facesearch died {deaths} times while processing it alone ({died.how})"
                    reason += f"; {Hint.RETRY_FAILED}"
                    return Outcome(content.without_data(), [], None, reason, deaths=deaths)


class _OfThisProcess:
    """Holds the model in the process that extracts suspects."""

    model: FaceModel | None = None


def _begin(model: FaceModel) -> None:
    _OfThisProcess.model = model


def _extract_here(content: Content[Item], options: Options) -> Outcome[Item]:
    assert _OfThisProcess.model is not None
    return extract(_OfThisProcess.model, content, options)
