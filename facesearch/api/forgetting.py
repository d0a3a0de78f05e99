"""The arguments of `Index.forget`: photos, a face or a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facesearch.api.opening import as_path
from facesearch.arguments import AnyPath, require_whole_number
from facesearch.errors import Hint, UsageError

if TYPE_CHECKING:
    from facesearch.care.forget import Forgetting
    from facesearch.index.store import Store

__all__ = ["forgetting"]


def forgetting(
    store: Store, path: AnyPath | None, face: int | None, folder: AnyPath | None, *, never_again: bool
) -> Forgetting:
    """Return what would be forgotten.

    Raises `UsageError` unless exactly one of the three is given, `InputError` if the index does not know it.
    """
    from facesearch.care.forget import to_forget_face, to_forget_photos, to_forget_root

    if [path, face, folder].count(None) != 2:
        raise UsageError("forget takes exactly one photo, face or folder", Hint.ONE_THING_TO_FORGET)
    if never_again and path is None:
        raise UsageError("a face or a whole folder cannot be put on the never-again list", Hint.KEEP_OUT_PHOTOS)
    if path is not None:
        return to_forget_photos(store, as_path("path", path), never_again=never_again)
    if folder is not None:
        return to_forget_root(store, as_path("folder", folder))
    assert face is not None
    require_whole_number("face", face, -(2**63))
    face = min(face, 2**63 - 1)  # no id is larger than what SQLite can hold
    return to_forget_face(store, face)
