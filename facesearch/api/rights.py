"""A person's rights: what is held about a person, and people who are left out of the index."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from facesearch.arguments import require_whole_number
from facesearch.errors import Hint, UsageError

if TYPE_CHECKING:
    from facesearch.api.opening import Stores
    from facesearch.care.person_report import PersonReport
    from facesearch.catalog.kept_out import Template

__all__ = ["end_left_out", "left_out", "report_on"]


def report_on(stores: Stores, who: int | str) -> PersonReport:
    """Return all that is held about a person; see `People.report`."""
    from facesearch.calibration.storage import calibration_of
    from facesearch.care.person_report import person_report

    store = stores.reading()
    return person_report(store, who, calibration_of(store.model))


def left_out(stores: Stores) -> list[Template]:
    """Return the people who are left out now; see `People.left_out`."""
    now = time.time()
    return [one for one in stores.reading(keep=False).catalog.kept_out.all() if one.until > now]


def end_left_out(stores: Stores, number: int) -> None:
    """Delete the template of somebody who is left out; see `People.end_left_out`."""
    require_whole_number("number", number, 1)
    with stores.writing() as store:
        if number not in {one.id for one in store.catalog.kept_out.all()}:
            raise UsageError(f"{number}: nobody who is left out has this number", Hint.LEFT_OUT)
        store.erase([lambda: store.catalog.kept_out.delete(number)])
