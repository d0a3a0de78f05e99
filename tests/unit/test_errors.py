"""Exit codes of errors, and the drawing of their class tree."""

from __future__ import annotations

import re

from facesearch import errors

NAMES = [name for name in errors.__all__ if name != "Hint"]
CODES = {
    "FacesearchError": 3, "UsageError": 2, "InputError": 3, "PhotoError": 3, "NoFaceError": 3, "ModelError": 3,
    "PhotoTooLargeError": 3,
    "DeviceError": 3, "StoreError": 3, "IndexNotFoundError": 3, "IndexVersionError": 3, "IndexDamagedError": 3,
    "ModelMismatchError": 3, "ModelSwitchedError": 3, "StorageError": 3, "DiskFullError": 3,
    "LockedError": 4, "GalleryError": 3, "ConflictError": 3,
}  # fmt: skip


def test_exit_codes() -> None:
    assert {name: getattr(errors, name)("x").exit_code for name in NAMES} == CODES


def test_the_drawing_shows_the_real_tree() -> None:
    drawn = re.findall(r"^([│├└─ ]*)(\w+Error)", errors.__doc__ or "", re.MULTILINE)
    assert {name for _, name in drawn} == set(NAMES)
    above: dict[int, str] = {}
    for branches, name in drawn:
        depth = len(branches) // 4
        above[depth] = name
        parent = getattr(errors, name).__mro__[1].__name__
        assert parent == (above[depth - 1] if depth else "Exception")
