"""The public names of `import facesearch`; none is loaded before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import facesearch
from facesearch import errors


def test_every_public_name_exists() -> None:
    assert [name for name in facesearch.__all__ if getattr(facesearch, name, None) is None] == []
    assert set(facesearch.__all__) <= set(dir(facesearch))
    assert facesearch.Index.__module__ == "facesearch.api.index"


def test_the_whole_tree_of_errors_is_public() -> None:
    assert set(errors.__all__) <= set(facesearch.__all__)
    assert facesearch.NoFaceError is errors.NoFaceError


def test_type_checkers_see_what_python_sees() -> None:
    tree = ast.parse(Path(facesearch.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    ours = [node for node in block.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    declared = {alias.name for node in ours for alias in node.names}
    assert declared == set(facesearch.__all__) - {"__version__"}


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = facesearch.nothing


@pytest.mark.parametrize("name", ["Index", "compare", "detect", "PhotoError", "Filter"])
def test_what_is_called_first_loads_nothing_heavy(name: str) -> None:
    heavy = ("numpy", "PIL", "faiss", "onnxruntime", "insightface", "sqlite3")
    code = f"import sys, facesearch; facesearch.{name}; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
