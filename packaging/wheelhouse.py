"""Fetch wheels of everything that facesearch requires into a folder, to install it without a network later.

    python packaging/wheelhouse.py FOLDER

This needs PyPI, or whatever index pip is set up to use. facesearch itself is not among the wheels.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def fetch_wheels(folder: Path) -> None:
    """Put the runtime dependencies, direct and indirect, into `folder`. Raises `CalledProcessError` if pip fails."""
    requirements = tomllib.loads(_PROJECT.read_text())["project"]["dependencies"]
    # `pip wheel` builds what has no wheel for this system; `pip download` would keep an archive that needs a compiler.
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--wheel-dir", str(folder), *requirements], check=True)  # noqa: S603 - pip


if __name__ == "__main__":
    fetch_wheels(Path(sys.argv[1]))
