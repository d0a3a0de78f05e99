"""`facesearch people tag`: a face that the detector missed, or something that is no face."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.console import Console
from facesearch.cli.messages import say
from facesearch.cli.options import Device, IndexPath, TableOrJson, Wait
from facesearch.cli.stdout import write_json
from facesearch.errors import UsageError
from facesearch.visible import shown_path

if TYPE_CHECKING:
    from facesearch.api.results import TaggedFace

__all__ = ["COMMANDS", "parse_box"]

_POOR = 0.2


def parse_box(text: str) -> tuple[float, ...]:
    """Return the numbers in `120,80,64,72`. Raises `UsageError`."""
    try:
        sides = tuple(float(part) for part in text.replace(" ", "").split(","))
    except ValueError:
        sides = ()
    if len(sides) != 4:
        raise UsageError(f"--box {text!r:.60}: give left, top, width and height in pixels, such as 120,80,64,72")
    return sides


_Photo = Annotated[
    Path | None, typer.Argument(metavar="[PHOTO]", readable=False, help="A photo of the index with a missing face.")
]
_Box = Annotated[
    str | None,
    typer.Option(
        "--box", metavar="L,T,W,H", help="The face: left, top, width and height in pixels of the upright photo."
    ),
]
_Name = Annotated[
    str | None,
    typer.Option("--name", metavar="WHO", help="Whose face it is: a name, which may be new, or a number like '#12'."),
]
_NotAFace = Annotated[
    int | None, typer.Option("--not-a-face", metavar="ID", min=1, help="This is no face, by its face_id: delete it.")
]


def tag(
    photo: _Photo = None,
    box: _Box = None,
    name: _Name = None,
    not_a_face: _NotAFace = None,
    index_path: IndexPath = None,
    device: Device = "auto",
    wait: Wait = 0,
    layout: TableOrJson = "table",
) -> None:
    """Add a face that the detector missed, or delete what is no face. Both last when the photo is read again.

    If a face is known in this place already, only that is named. The box need not be tight.
    """
    from facesearch.api.index import Index

    if not_a_face is not None and (photo is not None or box is not None or name is not None):
        raise UsageError("--not-a-face stands alone: omit PHOTO, --box and --name")
    if not_a_face is None and (photo is None or box is None):
        raise UsageError("give a PHOTO and the --box of a face, or --not-a-face ID")
    with Index.open(index_path, wait=wait, device=device, observer=Console()) as index:
        if not_a_face is not None:
            action = index.people.not_a_face(not_a_face)
            if layout == "json":
                write_json({"face_id": not_a_face, "action": action}, ascii_only=True)
            _tell(f"face {not_a_face} is no face; it is gone and stays away")
            return
        assert photo is not None
        done = index.people.tag(photo, parse_box(box or ""), name=name)
        called = None if done.person is None else index.people.find(done.person).called
    if layout == "json":
        write_json(_record(done), ascii_only=True)
    _tell(_described(done, shown_path(str(photo)), called))


def _record(done: TaggedFace) -> dict[str, object]:
    box = [round(value, 1) for value in (done.box.left, done.box.top, done.box.width, done.box.height)]
    return {
        "face_id": done.face, "action": done.action, "person": done.person, "known": done.known, "box": box,
        "quality": done.quality,
    }  # fmt: skip


def _described(done: TaggedFace, photo: str, called: str | None) -> str:
    if done.known:
        return f"{photo}: face {done.face} was known in this place already and is {called} now"
    whose = "" if called is None else f", which is {called}"
    poor = done.quality is not None and done.quality < _POOR
    unclear = " (too unclear to recognise anybody by it)" if poor else ""
    return f"{photo}: face {done.face} added{whose}{unclear}"


def _tell(done: str) -> None:
    say(f"{done}; `facesearch people undo` takes it back")


COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "tag": ("Add a face that was missed, or delete what is not a face.", tag),
}
"""The commands, by name: the short help and the function."""
