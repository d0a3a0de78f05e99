"""Remarks on a query and its answer, in terms of the options that help."""

from __future__ import annotations

from facesearch.api import remarks
from facesearch.api.remarks import Remark, place_of
from facesearch.cli.advice import in_options, option_name

__all__ = ["told"]


def told(remark: Remark) -> str:
    """Return a remark as one line that names the option to use."""
    match remark:
        case remarks.LeftOut():
            return f"{in_options(remark.error)}; skipped"
        case remarks.NotMeasured():
            return f"{remark}; measure them with facesearch models calibrate FOLDER, one subfolder per person"
        case remarks.CompanyIsThem():
            return str(remark).replace(remark.option, option_name(remark.option), 1)
        case remarks.SeveralFaces(of_company=True):
            return f"{remark}; `facesearch who --crops-to DIR` saves each face as a photo to choose from"
        case remarks.SeveralFaces():
            others = "; ".join(f"{probe.number} at {place_of(probe)}" for probe in remark.others)
            return f"{remark}; --face selects another ({others})"
        case remarks.MaybeTwoPeople(of_company=False):
            return f"{remark}; --each searches for each of them"
        case remarks.UnmeasuredLeftOut():
            return (
                f"faces of unknown quality, excluded by --min-quality: {remark.faces:,}; measure them with facesearch "
                "index --again"
            )
        case remarks.NothingToExpand():
            return f"--{remark}"
        case remarks.Missed():
            it = "them" if remark.photos != 1 else "it"
            return f"{remark}; {_lower_limit(remark)} shows {it}"
        case remarks.ThroughPerson() if remark.through and not remark.wanted:
            return f"{remark}; --direct omits these"
        case remarks.NothingFound():
            return _nothing(remark)
        case _:
            return str(remark)


def _lower_limit(remark: remarks.Missed) -> str:
    return {"threshold": "a lower --threshold", "fmr": "a higher --fmr", None: "--top-k"}[remark.limit]


def _nothing(remark: remarks.NothingFound) -> str:
    filters = [option_name(name) for name in remark.filters]
    line = remark.told(filters)
    if remark.all_left_out:
        one = "it" if len(filters) == 1 else "one of them"
        another = "" if filters == ["--alone"] else ", or give another value"
        return f"{line}; omit {one}{another}"
    if remark.threshold is None or not remark.faces or remark.top_k:
        return line
    return f"{line}; --top-k 5 shows the nearest"
