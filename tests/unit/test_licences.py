"""The inventory of third-party licences matches the installed packages, and the page matches the inventory."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

import pytest
from conftest import CHECKOUT
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

INVENTORY = CHECKOUT / "packaging" / "dependencies.toml"
PAGE = CHECKOUT / "docs" / "licences.md"
TABLES = re.compile(
    r"(?<=<!-- tables: generated, see tests/unit/test_licences.py -->\n).*?(?=<!-- end of tables -->)", re.DOTALL
)
GROUPS: Mapping[str, Mapping[str, Mapping[str, Any]]] = tomllib.loads(INVENTORY.read_text())
NOT_FOR_USERS = ("dev", "build")
EXTRAS = sorted({*GROUPS} - {"core", *NOT_FOR_USERS})
LISTED = [(group, name) for group, entries in GROUPS.items() for name in entries]

SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache",
    "BSD License": "BSD",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Metadata texts that stand for an SPDX identifier; BSD and Apache stand for any licence of that family."""


# Installed packages


@cache
def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def requirements(name: str, extras: Iterable[str] = ()) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what a distribution requires on this system, with the extras that it requests."""
    found = installed(name)
    for line in (found and found.requires) or []:
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield str(canonicalize_name(wanted.name)), frozenset(wanted.extras)


def everything_below(name: str, extra: str = "") -> set[str]:
    """Return everything that a distribution requires, directly or indirectly."""
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [(name, frozenset({extra} - {""}))]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += requirements(*one)
    return {found for found, _ in seen} - {name}


def required(group: str) -> set[str]:
    """Return exactly the distributions that the inventory should list in a group."""
    if group == "build":
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
        names = {str(canonicalize_name(Requirement(line).name)) for line in project["build-system"]["requires"]}
    elif group == "dev":
        names = {name for name, _ in requirements("facesearch", ["dev"])}
    else:
        names = everything_below("facesearch", "" if group == "core" else group)
    earlier = ["core"] if group in EXTRAS else ["core", *EXTRAS] if group in NOT_FOR_USERS else []
    return names.difference(*(GROUPS[other] for other in earlier))


def stated_licences(found: Distribution) -> set[str]:
    """Return the SPDX identifiers, or families, that the metadata names."""
    metadata = found.metadata
    lines = [str(value) for value in metadata.get_all("License-Expression") or metadata.get_all("License") or []]
    if "License-Expression" not in metadata:
        lines = [line for line in lines if "\n" not in line]  # not the whole text of a licence
        lines += [line for line in metadata.get_all("Classifier") or [] if line.startswith("License :: ")]
    names = (line.rpartition(" :: ")[2] for line in lines)
    return {part for name in names for part in identifiers(SPELLINGS.get(name, name))}


def identifiers(expression: str) -> set[str]:
    """Return the licences in an expression. Raises `ValueError` if one is neither SPDX nor in `SPELLINGS`."""
    if expression in SPELLINGS.values():
        return {expression}
    try:
        known = str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression as error:
        raise ValueError(f"{expression!r} is not an SPDX expression; if it is another spelling, add it here") from error
    return set(re.split(r" (?:AND|OR) ", known.replace("(", "").replace(")", "")))


def is_same(stated: str, listed: str) -> bool:
    return listed == stated or listed.startswith(f"{stated}-")


def shared_libraries(found: Distribution) -> set[str]:
    """Return the shared libraries bundled in a wheel, without its extension modules; version and hash are removed."""
    files = (file.name for file in found.files or [])
    libraries = (name for name in files if re.search(r"\.so(\.|$)", name))
    mine = re.compile(r"\.(cpython-[\w-]+|abi3)\.so$")
    return {re.sub(r"(-[0-9a-f]{8})+$", "", name.partition(".")[0]) for name in libraries if not mine.search(name)}


# The inventory


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_required_is_listed_and_nothing_else(group: str) -> None:
    listed, found = set(GROUPS[group]), required(group)
    if group in EXTRAS and not all(map(installed, found)):  # their requirements are unknown here
        listed &= found
    assert listed == found


def test_every_extra_has_its_group() -> None:
    found = installed("facesearch")
    assert found is not None
    assert {*(found.metadata.get_all("Provides-Extra") or [])} - {"dev"} == set(EXTRAS)


@pytest.mark.parametrize(("group", "name"), LISTED)
def test_the_metadata_agrees(group: str, name: str) -> None:
    entry, found = GROUPS[group][name], installed(name)
    if found is None:
        assert group != "core"  # an extra that is not installed, or a package of the build environment
        return
    listed = identifiers(entry["licence"])
    if "stated" in entry:
        texts = [found.read_text(name) or "" for name in ("METADATA", "licenses/LICENSE")]
        assert any(entry["stated"] in " ".join(text.split()) for text in texts)
        return
    stated = stated_licences(found)
    assert stated, f"{name}: its metadata names no licence; copy the sentence that names it into `stated`"
    unmatched = {one for one in stated if not any(is_same(one, other) for other in listed)}
    unmatched |= {other for other in listed if not any(is_same(one, other) for one in stated)}
    assert not unmatched, f"{name} {found.version}: the metadata has {sorted(stated)}, the inventory {sorted(listed)}"


@pytest.mark.parametrize(("group", "name"), LISTED)
def test_every_library_in_a_wheel_is_named(group: str, name: str) -> None:
    entry, found = GROUPS[group][name], installed(name)
    # The inventory lists the libraries in wheels for Linux. Those for macOS bundle others, as .dylib files; the
    # page describes the ones that matter. All other checks here run on both systems.
    carried = shared_libraries(found) if found and sys.platform == "linux" else set()
    patterns = [*entry.get("own", []), *(file for part in entry.get("bundles", []) for file in part.get("files", []))]
    unnamed = {library for library in carried if not any(fnmatchcase(library, pattern) for pattern in patterns)}
    assert not unnamed, f"{name} {found and found.version}: identify these libraries and add them to {INVENTORY.name}"


@pytest.mark.parametrize(("group", "name"), [one for one in LISTED if one[0] not in NOT_FOR_USERS])
def test_no_linux_wheel_for_users_has_gpl_code(group: str, name: str) -> None:
    entry = GROUPS[group][name]
    for expression in (entry["licence"], *(part["licence"] for part in entry.get("bundles", []))):
        assert not needs_the_gpl(expression), f"{name}: {expression}"


def needs_the_gpl(expression: str) -> bool:
    """Return True if the GPL applies without an exception or another licence to choose."""
    choices = str(canonicalize_license_expression(expression)).split(" OR ")
    return all(re.search(r"\bA?GPL-[\w.-]+(?![\w.-]| WITH GCC-exception)", choice) for choice in choices)


@pytest.mark.parametrize(
    ("expression", "needed"),
    [
        ("GPL-2.0-or-later", True),
        ("MIT AND AGPL-3.0-only", True),
        ("LGPL-2.1-or-later", False),
        ("BSD-3-Clause OR GPL-2.0-only", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
    ],
)
def test_the_gpl_is_distinguished_from_similar_licences(expression: str, needed: bool) -> None:
    assert needs_the_gpl(expression) is needed


# The page


def test_the_tables_are_the_inventorys() -> None:
    """With FACESEARCH_WRITE_LICENCES=1, write the tables instead of comparing them."""
    expected = f"\n{tables()}\n"
    if os.environ.get("FACESEARCH_WRITE_LICENCES"):
        PAGE.write_text(TABLES.sub(lambda _: expected, PAGE.read_text()))
    found = TABLES.search(PAGE.read_text())
    assert found is not None
    assert found[0] == expected, "run the tests with FACESEARCH_WRITE_LICENCES=1"


def tables() -> str:
    headings = {"core": "What facesearch requires", "dev": "For development only", "build": "For building only"}
    groups = ["core", *EXTRAS, *NOT_FOR_USERS]
    return (
        "\n".join(
            f"## {headings.get(group, f'The extra `{group}`')}\n\n{distributions_of(group)}\n{wheels_of(group)}"
            for group in groups
        ).rstrip("\n")
        + "\n"
    )


def distributions_of(group: str) -> str:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    lines = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    lines += [line for extra in project["project"]["optional-dependencies"].values() for line in extra]
    versions = {str(canonicalize_name(Requirement(line).name)): str(Requirement(line).specifier) for line in lines}
    rows = ["| distribution | required | checked | licence | what for |", "| --- | --- | --- | --- | --- |"]
    for name, entry in GROUPS[group].items():
        role = "; ".join(part for part in (entry["role"], entry.get("note")) if part)
        rows.append(f"| {name} | {versions.get(name, '')} | {entry['checked']} | {entry['licence']} | {role} |")
    return "\n".join(rows) + "\n"


def wheels_of(group: str) -> str:
    rows = [
        f"| {name} | {part['name']} | {part['licence']} | {', '.join(part.get('files', ['linked in']))} |"
        for name, entry in GROUPS[group].items()
        for part in entry.get("bundles", [])
    ]
    head = "What their wheels carry:\n\n| wheel | carries | licence | shared libraries |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(rows) + "\n" if rows else ""
