"""Photos a second while indexing folders, medians of several runs into fresh indexes.

python benchmarks/throughput.py FOLDER... [--runs N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def main(folders: list[str], runs: int = 3) -> dict[str, float]:
    rates = {}
    for folder in folders:
        reports = []
        for _run in range(runs):
            with tempfile.TemporaryDirectory() as index:
                command = [sys.executable, "-m", "facesearch", "index", folder, "--index", str(Path(index) / "index")]
                result = subprocess.run([*command, "-q", "-f", "json"], check=True, capture_output=True)
                reports.append(json.loads(result.stdout))
        rate = statistics.median(report["photos"] / report["seconds"] for report in reports)
        rates[folder] = rate
        print(f"{folder}: {reports[0]['photos']} photos, {reports[0]['faces']} faces, {rate:.1f} photos/s")
    return rates


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.folders, arguments.runs)
