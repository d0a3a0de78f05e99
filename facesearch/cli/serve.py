"""`facesearch serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli.options import Device, IndexPath, Threads, examples
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.api.gallery import Gallery
    from facesearch.api.index import Index

__all__ = ["register"]

_EXAMPLES = examples(
    ("facesearch serve --open", "open the page in a browser"),
    ("facesearch serve --host 0.0.0.0 --rights name", "let phones in the same network use it"),
    ("facesearch serve --token-file ~/.facesearch-tokens", "serve programs, which send a token"),
)

_Host = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Listen on this address; 0.0.0.0 lets other devices connect.")
]
_Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Listen on this port; 0 takes any.")]
_Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
_Rights = Annotated[
    str, typer.Option("--rights", metavar="NAME", help="What the printed address allows: look, name or owner.")
]
_TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="Let services in: NAME RIGHTS TOKEN per line, mode 0600."),
]
_Uploads = Annotated[
    Path | None, typer.Option("--uploads", metavar="DIR", help="Keep photos that are added on the page in this folder.")
]
_Names = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="Accept requests to this host name, such as that of a proxy."),
]
_RootPath = Annotated[
    str, typer.Option("--root-path", metavar="PATH", help="The path under which a reverse proxy shows the page.")
]
_Gallery = Annotated[
    str | None,
    typer.Option("--gallery", metavar="NAME", help="Serve this shared gallery, by name or URL, instead of an index."),
]
_Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="OLD=NEW", help="Photos of a gallery that other machines have in OLD are in NEW on this one."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="serve", short_help="Open the index as a local page.", epilog=_EXAMPLES)(serve)


def serve(
    index_path: IndexPath = None,
    gallery: _Gallery = None,
    folders: _Map = None,
    host: _Host = "127.0.0.1",
    port: _Port = 8710,
    open_browser: _Open = False,
    rights: _Rights = "owner",
    token_file: _TokenFile = None,
    uploads: _Uploads = None,
    allow_host: _Names = None,
    root_path: _RootPath = "",
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Open the index as a page in the browser, and as a REST API for programs. Ctrl-C ends it.

    Only this machine can connect unless --host says otherwise, and only with the address that is printed or a token.
    """
    from facesearch.web.run import ServerOptions, require_extra, run

    require_extra()
    options = ServerOptions(
        host=host, port=port, rights=rights, token_file=token_file, uploads=uploads, names=tuple(allow_host or ()),
        root_path=root_path, open_browser=open_browser,
    )  # fmt: skip
    with _opened(index_path, gallery, folders or [], device, threads) as served:
        run(served, options)


def _opened(
    index_path: Path | None, gallery: str | None, folders: list[str], device: str, threads: int
) -> Index | Gallery:
    """Open what is served."""
    from facesearch.api.gallery import Gallery
    from facesearch.api.index import Index

    pairs = dict(_pair(text) for text in folders)
    if gallery is None:
        if pairs:
            raise UsageError("--map is for a shared gallery; give --gallery too")
        return Index.open(index_path, device=device, threads=threads)
    if index_path is not None:
        raise UsageError("--index and --gallery contradict each other; omit one of them")
    return Gallery.open(gallery, device=device, threads=threads, folders=pairs)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise UsageError(f"--map {text}: write OLD=NEW, two folders")
    return old, new
