"""The remarks on queries and answers that an observer receives."""

from __future__ import annotations

from facesearch.events import Remark
from facesearch.search.remarks import (
    AskedAgain,
    CompanyIsThem,
    LeftOut,
    LookAlikes,
    MaybeTwoPeople,
    Missed,
    NeverGrouped,
    NothingFor,
    NothingFound,
    NothingToExpand,
    NotMeasured,
    PersonUnclear,
    PickedByOthers,
    SeveralFaces,
    SeveralFindMore,
    SomebodyElse,
    TableNotUsed,
    ThroughPerson,
    UnmeasuredLeftOut,
    place_of,
)

__all__ = [
    "AskedAgain",
    "CompanyIsThem",
    "LeftOut",
    "LookAlikes",
    "MaybeTwoPeople",
    "Missed",
    "NeverGrouped",
    "NotMeasured",
    "NothingFor",
    "NothingFound",
    "NothingToExpand",
    "PersonUnclear",
    "PickedByOthers",
    "Remark",
    "SeveralFaces",
    "SeveralFindMore",
    "SomebodyElse",
    "TableNotUsed",
    "ThroughPerson",
    "UnmeasuredLeftOut",
    "place_of",
]
