"""The layout is a promise: imports run one way, and nothing heavy is loaded before it is needed."""

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
    "errors",
    "events",
    "files",
    "filters",
    "isolation",
    "locations",
    "machine",
    "options",
    "query_options",
    "settings",
    "types",
    "visible",
    "wording",
}
FLOORS = [
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
"""Rooms from the ground up. Imports go down only: not up, and not sideways, except from leaf to leaf."""
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FRONT_DOORS = {"cli": {"api", "render"}, "web": {"api", "render"}}
"""Rooms that the front ends may use besides the leaves."""
SEAMS: dict[str, set[str]] = {
    "onnxruntime": {"models/libraries.py"},
    "openvino": {"models/libraries.py", "models/openvino_session.py"},
    "insightface": {"models/insightface_pack.py"},
    "onnx": {"models/insightface_pack.py", "models/runtime.py"},
    "faiss": {"vectors/faiss_tools.py", "vectors/flat.py", "vectors/ivf.py"},
    "filelock": {"files.py"},
    "fcntl": set(),
    "sqlite3": {"catalog/database.py"},
    "pi_heif": {"photos/formats.py"},
    "urllib": {"models/packs/download.py", "catalog/database.py", "render/gallery.py"},
    "xml": {"photos/xmp.py"},
    "zipfile": {"models/packs/unpack.py"},
    "platformdirs": {"settings.py"},
    "typer": {"cli/"},
    "rich": {"cli/"},
}
LONGEST_COMMAND = 40
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def commands_of(group: typer.Typer) -> Iterator[Callable[..., Any]]:
    """Every command of the command line, without what is wrapped around it."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield inspect.unwrap(command.callback)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands_of(inner.typer_instance)


COMMANDS = list(commands_of(app))
COMMAND_NAMES = "|".join([*(command.__name__ for command in COMMANDS), "models", "folders"])


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[str]:
    """Every module imported anywhere in a file, also for types alone."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def test_every_room_has_its_floor() -> None:
    assert {room_of(path) for path in MODULES} - {"__init__", "__main__"} <= FLOOR.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    here = room_of(path)
    if here in ("__init__", "__main__"):
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "facesearch" or len(parts) < 2 or parts[1] not in FLOOR or parts[1] == here:
            continue
        both_are_leaves = here in LEAVES and parts[1] in LEAVES
        assert FLOOR[parts[1]] < FLOOR[here] or both_are_leaves, f"{path} imports {name}, which lies above or beside it"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if room_of(path) in FRONT_DOORS], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_front_ends_use_the_one_door(path: Path) -> None:
    here = room_of(path)
    allowed = FRONT_DOORS[here] | LEAVES | {here}
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "facesearch" and len(parts) > 1 and parts[1] in FLOOR:
            assert parts[1] in allowed, f"{path} imports {name}: what it needs of that belongs into the api"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.__module__}.{command.__name__}")
def test_commands_are_thin(command: Callable[..., Any]) -> None:
    """Options are declared beside one another, and what they mean is decided below."""
    lines, _start = inspect.getsourcelines(command)
    assert len(lines) <= LONGEST_COMMAND, f"{command.__name__} has {len(lines)} lines"


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Also inside a room: whoever reads the files in the order of their imports reads each once."""
    modules = {module_of(path): path for path in MODULES if room_of(path) not in ("__init__", "__main__")}
    TopologicalSorter({name: used_modules(path, modules) - {name} for name, path in modules.items()}).prepare()


def used_modules(path: Path, modules: Collection[str]) -> set[str]:
    """Of these modules those that a file uses; the room of a module that it takes from there is none of them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in modules else node.module for name in names}
    return found & set(modules)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_are_used_at_their_seams_only(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        homes = SEAMS.get(name.split(".")[0])
        assert homes is None or any(relative.startswith(home) for home in homes), f"{relative} imports {name}"


def texts(path: Path) -> list[str]:
    """Every text in a file, docstrings too."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room_of(path) not in {*FRONT_DOORS, "render"}],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_options_and_commands_are_named_by_front_ends_only(path: Path) -> None:
    """Whoever calls a function has no options: what to do next is a `Hint`, in terms of the thing."""
    named = [
        text
        for text in texts(path)
        if "pip install" not in text and re.search(rf"(?<![\w-])--[a-z]|\bfacesearch ({COMMAND_NAMES})\b", text)
    ]
    assert named == []


def as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by the alphabet."""
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
        assert public, f"{name} does not say what is public"
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
def test_a_question_to_the_embedded_model_loads_only_what_it_uses(tmp_path: Path, library: Path, command: str) -> None:
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
    assert "loaded: []" in result.stderr, "what others print goes to stderr"
