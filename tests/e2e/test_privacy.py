"""Nothing leaves the machine, and nothing is written outside the index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NOT_PERMITTED, Run

pytestmark = pytest.mark.fresh_python


def everything_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


@pytest.mark.parametrize("device", ["cpu", pytest.param("openvino", marks=pytest.mark.thorough)])
def test_nothing_is_written_outside_the_index(
    facesearch: Run, environment: dict[str, str], library: Path, tmp_path: Path, device: str
) -> None:
    if device == "openvino":
        pytest.importorskip("openvino", reason="pip install 'facesearch[openvino]'")
    assert "CI" not in environment, "ONNX Runtime disables its telemetry when CI is set"
    facesearch("index", library / "photos", "--index", tmp_path / "ix", "--device", device)
    facesearch("query", library / "query.jpg", "--index", tmp_path / "ix", "--device", device)
    facesearch("status", "--index", tmp_path / "ix")
    facesearch("scan", library / "query.jpg", library / "photos/portraits", "--device", device)
    assert everything_below(tmp_path / "home") == set()
    outside = {path for path in everything_below(tmp_path) if path.parts[0] != "ix"}
    assert outside == {Path("home")}


def test_the_runtime_has_telemetry_to_disable(tmp_path: Path, environment: dict[str, str]) -> None:
    """Without the switch something is written, so the test above can fail."""
    script = (
        "import onnxruntime, glob, facesearch.models as models\n"
        "import os; path = os.path.join(os.path.dirname(models.__file__), 'weights', 'yunet_2023mar.onnx')\n"
        "onnxruntime.InferenceSession(path)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environment, check=True, capture_output=True)
    assert everything_below(tmp_path / "home"), "ONNX Runtime no longer writes anything: remove the switch"


def test_index_and_query_work_without_any_network(environment: dict[str, str], library: Path, tmp_path: Path) -> None:
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip(f"{NOT_PERMITTED}: make a network namespace")
    for arguments in (
        ["index", str(library / "photos/portraits"), "--index", "ix"],
        ["query", str(library / "query.jpg"), "--index", "ix"],
    ):
        command = [*alone, sys.executable, "-m", "facesearch", *arguments]
        result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
