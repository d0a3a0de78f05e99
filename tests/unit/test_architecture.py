"""The structure of the package: imports go one way, and nothing heavy is loaded before it is needed."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import typer

import facesearch
from facesearch.cli import app

PACKAGE = Path(facesearch.__file__).parent
LEAVES = {
    "arguments",
    "cells",
    "errors",
    "events",
    "files",
    "filters",
    "interrupts",
    "isolation",
    "locations",
    "machine",
    "options",
    "query_options",
    "settings",
    "shards",
    "types",
    "visible",
    "wording",
}
LAYERS = [
    LEAVES,
    {"photos", "vectors", "models"},
    {"catalog", "faces"},
    {"index", "calibration"},
    {"galleries", "indexing", "people"},
    {"search", "care"},
    {"evaluation"},
    {"api"},
    {"render"},
    {"web"},
    {"cli"},
]
"""Subpackages and modules, lowest layer first. Imports go down only, except from leaf to leaf."""
LAYER = {part: layer for layer, parts in enumerate(LAYERS) for part in parts}
FRONT_ENDS = {"cli": {"api", "render"}, "web": {"api", "render"}}
"""The parts that front ends may import in addition to the leaves."""
SEAMS: dict[str, set[str]] = {
    "onnxruntime": {"models/libraries.py"},
    "openvino": {"models/libraries.py", "models/openvino_session.py"},
    "insightface": {"models/insightface_pack.py"},
    "onnx": {"models/insightface_pack.py", "models/runtime.py"},
    "faiss": {"vectors/faiss_tools.py", "vectors/flat.py", "vectors/ivf.py", "vectors/neighbours.py"},
    "filelock": {"files.py"},
    "fcntl": set(),
    "sqlite3": {"catalog/connecting.py", "catalog/database.py", "catalog/sql.py", "catalog/sqlite_errors.py"},
    "pi_heif": {"photos/formats.py"},
    "psycopg": {"galleries/postgres/"},
    "pgvector": {"galleries/postgres/"},
    "pymilvus": {"galleries/milvus/"},
    "milvus_lite": {"galleries/milvus/"},
    "grpc": {"galleries/milvus/"},
    "urllib": {
        "models/packs/download.py",
        "catalog/connecting.py",
        "render/gallery.py",
        "galleries/address.py",
        "web/guard.py",
        "web/photos.py",
    },
    "xml": {"photos/xmp.py"},
    "zipfile": {"models/packs/unpack.py", "render/person_report.py", "web/photos.py"},
    "platformdirs": {"settings.py"},
    "fastapi": {"web/"},
    "starlette": {"web/"},
    "uvicorn": {"web/server.py"},
    "h11": {"web/server.py"},
    "pydantic": {"web/"},
    "segno": {"web/run.py"},
    "typer": {"cli/"},
    "rich": {"cli/"},
}
LONGEST_COMMAND = 40
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def commands_of(group: typer.Typer) -> Iterator[Callable[..., Any]]:
    """Yield every command of the command line, without decorators."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield inspect.unwrap(command.callback)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands_of(inner.typer_instance)


COMMANDS = list(commands_of(app))
COMMAND_NAMES = "|".join([*(command.__name__ for command in COMMANDS), "models", "folders"])


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[str]:
    """Return every module imported anywhere in a file, including those for types only."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in MODULES} - {"__init__", "__main__"} <= LAYER.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    here = part_of(path)
    if here in ("__init__", "__main__"):
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "facesearch" or len(parts) < 2 or parts[1] not in LAYER or parts[1] == here:
            continue
        both_are_leaves = here in LEAVES and parts[1] in LEAVES
        assert LAYER[parts[1]] < LAYER[here] or both_are_leaves, f"{path} imports {name}, which is not in a lower layer"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if part_of(path) in FRONT_ENDS], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_front_ends_use_only_the_api(path: Path) -> None:
    here = part_of(path)
    starts_server = path.relative_to(PACKAGE).as_posix() == "cli/serve.py"
    allowed = FRONT_ENDS[here] | LEAVES | {here} | ({"web"} if starts_server else set())
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "facesearch" and len(parts) > 1 and parts[1] in LAYER:
            assert parts[1] in allowed, f"{path} imports {name}; the api should offer what it needs"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.__module__}.{command.__name__}")
def test_commands_are_thin(command: Callable[..., Any]) -> None:
    """Commands declare options; lower layers interpret them."""
    lines, _start = inspect.getsourcelines(command)
    assert len(lines) <= LONGEST_COMMAND, f"{command.__name__} has {len(lines)} lines"


def test_no_import_cycles() -> None:
    """Modules can be read in the order of their imports, also within a subpackage."""
    modules = {module_of(path): path for path in MODULES if part_of(path) not in ("__init__", "__main__")}
    TopologicalSorter({name: used_modules(path, modules) - {name} for name, path in modules.items()}).prepare()


def used_modules(path: Path, modules: Collection[str]) -> set[str]:
    """Return those of the modules that a file imports; `from package import module` counts as the module only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in modules else node.module for name in names}
    return found & set(modules)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_are_imported_in_few_places(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        homes = SEAMS.get(name.split(".")[0])
        assert homes is None or any(relative.startswith(home) for home in homes), f"{relative} imports {name}"


def texts(path: Path) -> list[str]:
    """Return every string in a file, including docstrings."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if part_of(path) not in {*FRONT_ENDS, "render"}],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_options_and_commands_are_named_by_front_ends_only(path: Path) -> None:
    """Library callers have no command-line options: lower layers use a `Hint` instead of naming an option."""
    named = [
        text
        for text in texts(path)
        if "pip install" not in text and re.search(rf"(?<![\w-])--[a-z]|\bfacesearch ({COMMAND_NAMES})\b", text)
    ]
    assert named == []


def as_ruff_sorts(name: str) -> tuple[int, str]:
    """Return the sort key: constants, then classes, then functions, each in alphabetical order."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("name", [module.name for module in pkgutil.walk_packages([str(PACKAGE)], "facesearch.")])
def test_public_names_exist_and_are_sorted(name: str) -> None:
    if name == "facesearch.__main__":
        return
    module = importlib.import_module(name)
    public = getattr(module, "__all__", [])
    assert all(hasattr(module, public_name) for public_name in public)
    assert len(set(public)) == len(public)
    assert list(public) == sorted(public, key=as_ruff_sorts)
    if not hasattr(module, "__path__"):
        assert public, f"{name} has no `__all__`"
        defined = [
            node.name
            for node in ast.parse(Path(str(module.__file__)).read_text()).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        ]
        commands = {command.__name__ for command in COMMANDS if command.__module__ == name}
        assert set(defined) - set(public) - commands == set(), f"{name} defines names that are not public"


HEAVY = ("numpy", "PIL", "faiss", "onnxruntime", "openvino", "insightface", "onnx", "cv2", "scipy", "skimage", "rich")


@pytest.mark.parametrize("code", ["import facesearch", "import facesearch.cli; facesearch.cli._run()"])
def test_nothing_heavy_is_loaded_for_help(code: str) -> None:
    script = (
        f"import sys; sys.argv = ['facesearch', '--help']\ntry:\n    {code}\nexcept SystemExit: pass\n"
        f"print('loaded:', [name for name in {HEAVY} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "loaded: []" in result.stdout


@pytest.mark.parametrize("command", ["scan", "query"])
def test_a_query_to_the_embedded_model_loads_only_what_it_uses(tmp_path: Path, library: Path, command: str) -> None:
    photos = str(library / "photos/portraits")
    asked = ["scan", str(library / "query.jpg"), photos, "--model", "embedded", "--device", "cpu"]
    if command == "query":
        index = [sys.executable, "-m", "facesearch", "index", photos, "--index", "ix", "--model", "embedded"]
        subprocess.run(index, capture_output=True, check=True, cwd=tmp_path)
        asked = ["query", str(library / "query.jpg"), "--index", "ix"]
    script = (
        "import sys; from facesearch.cli import _run\n"
        f"sys.argv = ['facesearch', *{asked!r}]\n"
        "_run(); print('loaded:', [name for name in "
        "('insightface', 'onnx', 'cv2', 'scipy', 'skimage', 'openvino', 'sklearn', 'rich') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "loaded: []" in result.stderr, "output of libraries goes to stderr"
