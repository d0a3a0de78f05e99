"""Write the figures of the embedded model's calibration into README.md and docs/scores.md.

    python docs/figures.py [--check]

Each block between `<!-- calibration: NAME -->` and `<!-- end -->` is made from the table that the package ships, so the
threshold and the rates are stated once. With --check nothing is written, and a page that is out of date is an error.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from math import log10
from pathlib import Path
from textwrap import fill
from typing import Any

from facesearch.calibration import storage
from facesearch.calibration.table import read_calibration
from facesearch.models.framing import LATEST_REVISION
from facesearch.settings import EMBEDDED_THRESHOLD

CHECKOUT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/scores.md")
RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
BLOCK = re.compile(r"(<!-- calibration: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def rate(fmr: float) -> str:
    """Return a false-match rate as in the text of a page: 1e-4, 1.4e-4."""
    return f"{fmr:.1e}".replace(".0e", "e").replace("e-0", "e-")


def percent(share: float) -> str:
    """Return a share as in the text of a page."""
    return f"{share:.0%}".replace("%", " %")


def blocks(table: dict[str, Any]) -> dict[str, str]:
    """Return the text of each block."""
    calibration = read_calibration(table)
    left_out = {told["photos"]: told for told in table["people_left_out"]}
    one, three = left_out[1], left_out[3]
    people, threshold = table["people"], EMBEDDED_THRESHOLD

    def similarity(fmr: float, photos: int) -> str:
        star = " *" if log10(fmr) < calibration.curve(photos).measured_to else ""
        return f"{calibration.similarity_at(fmr, photos):.2f}{star}"

    rows = [
        f"| {photos} | {' | '.join(similarity(fmr, photos) for fmr in RATES)} "
        f"| {percent(told['tmr'])} | {percent(told['tmr_worst_person'])} |"
        for photos, told in left_out.items()
    ]
    heads = " | ".join(map(rate, RATES[1:]))
    legend = " Values with * are extrapolated." if any("*" in row for row in rows) else ""
    return {
        "rates": "\n".join(
            [
                f"| query photos | similarity at FMR 1e-2 | {heads} | photos found at {threshold} | worst person |",
                "| ---: |" + " ---: |" * (len(RATES) + 2),
                *rows,
                "",
                *fill(
                    f"Measured for the embedded model on {table['faces']:,} faces of {people} people, in photos that "
                    f"facesearch reads as it reads yours; {table['left_out']} faces with wrong labels were excluded. "
                    f"The photos found are those of people left out: the other {people - 1} people set the threshold "
                    f"(at {one['similarity'][0]} to {one['similarity'][1]}) for each. The FMR of a person left out is "
                    f"{rate(one['fmr'])} on average and {rate(one['fmr_worst_person'])} for the worst.{legend}",
                    width=120,
                ).splitlines(),
                "",
            ]
        ),
        "threshold": f"It is {threshold} for the embedded model.\n",
        "found": "\n".join(
            [
                f"| found at the default threshold, {threshold} | of a person's photos | of 10,000 strangers |",
                "| --- | --- | --- |",
                *(
                    f"| with {name} | {percent(told['tmr'])} (worst of {people} people "
                    f"{percent(told['tmr_worst_person'])}) | {told['fmr'] * 1e4:.1f} (worst "
                    f"{told['fmr_worst_person'] * 1e4:.0f}) |"
                    for name, told in (("one photo", one), ("three photos", three))
                ),
                "",
            ]
        ),
    }


def main() -> str | None:
    """Bring the pages up to date, or with --check return a complaint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    shipped = Path(storage.__file__).parent / f"tables/embedded-{LATEST_REVISION}.json"
    made = blocks(json.loads(shipped.read_text()))
    used = set()
    for name in PAGES:
        page = CHECKOUT / name
        text = page.read_text()
        used |= {block[1] for block in BLOCK.findall(text)}
        current = BLOCK.sub(lambda found: found[1] + made[found[2]] + found[4], text)
        if current != text:
            if check:
                return f"{name}: out of date; run docs/figures.py"
            page.write_text(current)
    missing = ", ".join(sorted(made.keys() - used))
    return f"no place for: {missing}" if missing else None


if __name__ == "__main__":
    sys.exit(main())
