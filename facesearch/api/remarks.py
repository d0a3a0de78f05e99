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
    NothingFor,
    NothingFound,
    NothingToExpand,
    NotMeasured,
    PickedByOthers,
    SeveralFaces,
    SeveralFindMore,
    SomebodyElse,
    TableNotUsed,
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
    "NotMeasured",
    "NothingFor",
    "NothingFound",
    "NothingToExpand",
    "PickedByOthers",
    "Remark",
    "SeveralFaces",
    "SeveralFindMore",
    "SomebodyElse",
    "TableNotUsed",
    "UnmeasuredLeftOut",
    "place_of",
]
