"""`facesearch gallery`: shared galleries in a database server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, cast

import typer

from facesearch.cli.console import Console
from facesearch.cli.gallery_probe import probe
from facesearch.cli.groups import listing_group
from facesearch.cli.messages import confirm, say
from facesearch.cli.options import IndexPath, ModelName, Quiet, TableOrJson, Wait, Yes, examples, one_of, suggestions
from facesearch.cli.stdout import write, write_json
from facesearch.errors import GalleryError, InputError, UsageError

if TYPE_CHECKING:
    from facesearch.api.index import Index
    from facesearch.api.results import GalleryStatus, Method

__all__ = ["register"]

_HELP = "Share one gallery between the indexes of several machines."
_EXAMPLES = examples(
    ("facesearch gallery connect postgresql://me@db.example.org/faces", "connect a gallery"),
    ("facesearch gallery init", "make it, once"),
    ("facesearch gallery push", "push what changed in the index"),
    ("facesearch query me.jpg --gallery gallery", "ask it, from any machine"),
)

_Address = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="Where it is: postgresql://USER@HOST/DATABASE, http://USER@HOST:19530/DATABASE for Milvus, or "
        "milvus-lite:///FILE.db.",
    ),
]
_NewName = Annotated[str, typer.Option("--name", metavar="NAME", help="What to call the gallery.")]
_Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The gallery. [default: the only one connected]")
]
_KnownAs = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="What the gallery calls this index. [default: the machine's name]"),
]
_AfterIndex = Annotated[
    bool | None,
    typer.Option(
        "--push-after-index/--no-push-after-index", help="End each run of facesearch index with a push.",
        show_default=False,
    ),
]  # fmt: skip
_Tenant = Annotated[
    str | None,
    typer.Option(
        "--tenant", metavar="NAME", help="Whom the index belongs to, for services whose users share one role."
    ),
]
_NoTenant = Annotated[bool, typer.Option("--no-tenant", help="Remove the tenant.")]
_PrintSql = Annotated[bool, typer.Option("--print-sql", help="Print the SQL instead, for those who may run it.")]
_METHODS = ("exact", "hnsw", "ivf")
_Search = Annotated[
    str | None,
    typer.Option(
        "--search", metavar="METHOD",
        help="Compare every face (exact), or use an index of all faces: hnsw or ivf. Also changes an existing "
        "gallery. [default: exact]",
        autocompletion=suggestions(*_METHODS), callback=one_of("--search", *_METHODS),
    ),
]  # fmt: skip
_Private = Annotated[
    bool,
    typer.Option("--private", help="Each index is seen by the role that added it, and by those that this role names."),
]
_Beside = Annotated[
    bool,
    typer.Option(
        "--beside", help="Make a second gallery next to the existing one, for another model, to switch to later."
    ),
]
_PushDryRun = Annotated[bool, typer.Option("--dry-run", help="Count the faces to push; push nothing.")]
_TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Push even if another copy of this index was pushed last.")
]
_Repair = Annotated[bool, typer.Option("--repair", help="Correct the gallery.")]
_ForgetThere = Annotated[bool, typer.Option("--forget", help="Delete this index from the gallery first. Asks first.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands: dict[str, tuple[str, Callable[..., None]]] = {
        "status": ("Show the galleries and what is in them.", status),
        "connect": ("Connect a gallery.", connect),
        "init": ("Make a gallery in a database, once.", init),
        "switch": ("Switch a gallery to another model.", switch),
        "push": ("Push what changed in the index.", push),
        "probe": ("Store the face in a photo, to ask for it with SQL.", probe),
        "verify": ("Compare the index with the gallery.", verify),
        "disconnect": ("Disconnect a gallery.", disconnect),
    }
    group = listing_group("gallery", _HELP, status, commands, _EXAMPLES)
    app.add_typer(group, name="gallery", short_help=_HELP)


def status(index_path: IndexPath = None, name: _Name = None, layout: TableOrJson = "table") -> None:
    """Show the connected galleries, and the indexes in them."""
    from facesearch.api.gallery import Gallery, gallery_names
    from facesearch.api.index import Index
    from facesearch.render.galleries import gallery_record, render_gallery

    console = Console()
    with Index.open(index_path, create=True, observer=console) as index:
        connected = {one.name: one for one in (index.galleries.list() if index.exists else [])}
    names = [name] if name is not None else sorted({*gallery_names(), *connected})
    found: dict[str, GalleryStatus | None] = {}
    for one in names:
        try:
            with Gallery.open(connected[one].address if one in connected else one) as gallery:
                found[one] = gallery.status()
        except (GalleryError, InputError, UsageError) as error:
            if name is not None and not isinstance(error, GalleryError):
                raise
            say(str(error))
            found[one] = None
    if layout == "json":
        write_json([gallery_record(one, told, connected.get(one)) for one, told in found.items()], ascii_only=True)
    else:
        write(render_gallery(one, told, connected.get(one)) for one, told in found.items())
    if not names:
        say("no gallery is connected; connect one with facesearch gallery connect URL")
    console.end(complete=None not in found.values())


def connect(
    address: _Address,
    name: _NewName = "gallery",
    known_as: _KnownAs = None,
    after_index: _AfterIndex = None,
    tenant: _Tenant = None,
    no_tenant: _NoTenant = False,
    index_path: IndexPath = None,
    wait: Wait = 0,
) -> None:
    """Connect a gallery: to push the index to it, and to query it. Without an index, to query it only.

    The password is not stored: set FACESEARCH_GALLERY_PASSWORD or FACESEARCH_GALLERY_PASSWORD_FILE, or use a .pgpass.
    """
    from facesearch.api.gallery import Gallery
    from facesearch.api.index import Index
    from facesearch.render.galleries import gallery_line

    if tenant is not None and no_tenant:
        raise UsageError("--tenant and --no-tenant contradict each other; omit one of them")
    belongs = "" if no_tenant else tenant
    with Index.open(index_path, create=True, wait=wait, observer=Console()) as index:
        if index.exists:
            index.galleries.connect(address, name=name, known_as=known_as, after_runs=after_index, tenant=belongs)
            say(f"connected {name}; {index.path} is pushed to it from now on")
        else:
            Gallery.remember(address, name=name)
            say(f"connected {name}, to query it; there is no index at {index.path} to push")
    try:
        with Gallery.open(address) as gallery:
            say(gallery_line(gallery.status()))
    except GalleryError as error:
        say(str(error))


def init(
    name: _Name = None,
    model: ModelName = None,
    search: _Search = None,
    private: _Private = False,
    beside: _Beside = False,
    print_sql: _PrintSql = False,
    index_path: IndexPath = None,
) -> None:
    """Make a gallery in the database of a connected address, for the model of the index or for --model.

    With --search, change how an existing gallery searches; only its owner may.
    """
    from facesearch.api.gallery import Gallery
    from facesearch.api.index import Index
    from facesearch.render.galleries import search_line

    with Index.open(index_path, create=True, observer=Console()) as index:
        asked = model if model is not None or not index.exists else index.model.call
        called, address = ("", "") if print_sql else _chosen(index, name)
    method = cast("Method", search or "exact")
    if print_sql:
        write([Gallery.sql(model=asked, method=method, private=private, beside=beside)])
        return
    if search is None or private or beside or not Gallery.exists(address):
        Gallery.make(address, model=asked, method=method, private=private, beside=beside)
        say(f"made the gallery {called}" if not beside else f"made a gallery beside {called}, to switch to")
        return
    with Gallery.open(address) as gallery:
        recall = gallery.search_by(method, model=asked)
    say(f"{called}: {search_line(method, recall)}")


def switch(name: _Name = None, index_path: IndexPath = None, yes: Yes = False) -> None:
    """Put the gallery made with `init --beside` in the place of the current one, and delete that.

    Indexes are pushed to it as soon as they have its model: run facesearch reindex, then facesearch gallery push.
    """
    from facesearch.api.gallery import Gallery
    from facesearch.api.index import Index

    with Index.open(index_path, create=True, observer=Console()) as index:
        called, address = _chosen(index, name)
    with Gallery.open(address) as gallery:
        status = gallery.status()
    if status.left_behind:
        confirm(f"queries will not find {', '.join(status.left_behind)} until pushed with the new model", yes=yes)
    Gallery.switch(address)
    say(f"switched {called} to {'another model' if status.next_model is None else status.next_model.name}")


def push(
    name: _Name = None,
    dry_run: _PushDryRun = False,
    take_over: _TakeOver = False,
    index_path: IndexPath = None,
    wait: Wait = 0,
    quiet: Quiet = False,
) -> None:
    """Push what changed in the index since the last push. Deletions come first. A killed push continues."""
    from facesearch.api.index import Index
    from facesearch.render.galleries import pushed_line

    console = Console(quiet=quiet, keeps=False)
    with console, Index.open(index_path, wait=wait, observer=console) as index:
        if dry_run:
            say(f"{index.galleries.pending(name):,} changed faces to push; nothing was pushed")
            return
        done = index.galleries.push(name, take_over=take_over)
    if done is not None and not quiet:
        say(pushed_line(done))
    console.end(complete=done is not None)


def verify(name: _Name = None, repair: _Repair = False, index_path: IndexPath = None, wait: Wait = 0) -> None:
    """Compare every face of the index with what the gallery has of it. Exit code 3 if they differ."""
    from facesearch.api.index import Index
    from facesearch.render.galleries import difference_line

    with Index.open(index_path, wait=wait, observer=Console()) as index:
        found = index.galleries.verify(name, repair=repair)
    say(f"{difference_line(found)}{'; repaired' if found and repair else ''}")
    if found and not repair:
        say("`facesearch gallery verify --repair` corrects the gallery")
        raise typer.Exit(3)


def disconnect(
    name: _Name = None, forget: _ForgetThere = False, index_path: IndexPath = None, yes: Yes = False, wait: Wait = 0
) -> None:
    """Disconnect a gallery. Without --forget, the gallery keeps what was pushed."""
    from facesearch.api.gallery import Gallery, only_gallery
    from facesearch.api.index import Index

    if forget:
        confirm("everything of this index will be deleted from the gallery", yes=yes)
    with ExitStack() as stack:
        index = stack.enter_context(Index.open(index_path, create=True, wait=wait, observer=Console()))
        if index.exists and (forget or index.galleries.list()):
            owed = 0 if forget else index.galleries.owed(name)
            if owed:
                confirm(f"the gallery may still have {owed:,} faces that were deleted here, and keeps them", yes=yes)
            called = index.galleries.disconnect(name, forget=forget)
            say("queries still know the name; disconnect it again to forget it")
        else:
            called = only_gallery(name)
            Gallery.forget_name(called)
    say(f"disconnected {called}")


def _chosen(index: Index, name: str | None) -> tuple[str, str]:
    """Return the name and the address of the gallery of this name, or of the only one connected."""
    from facesearch.api.gallery import only_gallery

    connected = {one.name: one.address for one in (index.galleries.list() if index.exists else [])}
    called = next(iter(connected)) if name is None and len(connected) == 1 else only_gallery(name)
    return called, connected.get(called, called)
