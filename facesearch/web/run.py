"""`facesearch serve`: what is served, how it is reached, and what the terminal says."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.api.gallery import Gallery
from facesearch.api.index import Index
from facesearch.api.people import current_user
from facesearch.errors import InputError, UsageError

if TYPE_CHECKING:
    from facesearch.web.rights import Keyring, Visitor

__all__ = ["ServerOptions", "require_extra", "run"]

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "segno")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The options of `facesearch serve`."""

    host: str
    port: int
    rights: str
    token_file: Path | None
    uploads: Path | None
    names: tuple[str, ...]
    root_path: str
    open_browser: bool


def require_extra() -> None:
    """Raise `InputError` unless what the server needs is installed."""
    os.environ.setdefault("OTEL_SDK_DISABLED", "true")  # before fastapi is imported: nothing is sent anywhere
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"the server needs {', '.join(missing)}; install it with pip install 'facesearch[web]'")


def run(served: Index | Gallery, options: ServerOptions) -> None:
    """Serve an index or a gallery until a signal ends it.

    Raises `InputError` if the port is taken, the folder for uploads or the file of tokens cannot be used, or nobody
    could get in; `UsageError` for wrong options.
    """
    from facesearch.web.app import Doors, make_app
    from facesearch.web.gallery import ServedGallery
    from facesearch.web.names import HostNames
    from facesearch.web.rights import Keyring, Rights, Tokens, Visitor
    from facesearch.web.server import listen, own_address, serve
    from facesearch.web.serving import Serving

    rights = Rights.called(options.rights)
    tokens = Tokens({}) if options.token_file is None else Tokens.read(options.token_file)
    on_terminal = sys.stderr.isatty()
    if not on_terminal and options.token_file is None:
        raise UsageError("keys are printed on a terminal only, and this is none; give --token-file FILE")
    _check_uploads(served, options.uploads)
    root_path = _root_path(options.root_path)
    served.status()  # what is wrong with it is said now
    with listen(options.host, options.port) as taken:
        port = taken.getsockname()[1]
        keyring = Keyring(tokens)
        terminal = _Terminal(
            keyring, Visitor(current_user(), rights), _url(own_address(options.host), port),
            shown=on_terminal, with_code=options.host not in _LOOPBACK,
        )  # fmt: skip
        serving = (
            ServedGallery(served, keyring)
            if isinstance(served, Gallery)
            else Serving(served, keyring, uploads=options.uploads)
        )
        doors = Doors(
            names=HostNames((options.host, *options.names)), tokens=tokens, port=port, root_path=root_path,
            on_session=terminal.on_session,
        )  # fmt: skip
        try:
            serve(
                make_app(serving, doors), taken, serving.ending, root_path=root_path,
                behind_proxy=bool(root_path or options.names),
                ready=lambda: terminal.begin(open_browser=options.open_browser),
            )  # fmt: skip
        finally:
            serving.close()
            terminal.end()


class _Terminal:
    """What the terminal says: the address with a key that works once, and a new one whenever it was used."""

    def __init__(self, keyring: Keyring, visitor: Visitor, url: str, *, shown: bool, with_code: bool) -> None:
        self._keyring = keyring
        self._visitor = visitor
        self._url = url
        self._shown = shown
        self._with_code = with_code
        self._hint: Path | None = None
        self._key = ""

    def begin(self, *, open_browser: bool) -> None:
        """Print the address."""
        if not self._shown:
            print(f"facesearch: serving {self._url}", file=sys.stderr, flush=True)  # noqa: T201
            return
        self._print("open this address in a browser; it works once:", with_code=self._with_code)
        if open_browser:
            self._open()

    def on_session(self, _visitor: object) -> None:
        """Print a new address if the last one was used."""
        if self._shown and not self._keyring.is_unused(self._key):
            self._print("a browser has opened it; for another one:", with_code=False)

    def end(self) -> None:
        """Remove what was written for the browser."""
        if self._hint is not None:
            self._hint.unlink(missing_ok=True)

    def _address(self) -> str:
        self._key = self._keyring.new_key(self._visitor)
        return f"{self._url}#key={self._key}"

    def _print(self, text: str, *, with_code: bool) -> None:
        address = self._address()
        print(f"facesearch: {text}\n\n    {address}\n", file=sys.stderr, flush=True)  # noqa: T201
        if with_code:
            import segno

            segno.make(address, error="l").terminal(sys.stderr, compact=True)

    def _open(self) -> None:
        """Open the browser by way of a file that only the user can read: arguments of programs are seen by others."""
        with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="facesearch-", delete=False) as page:
            page.write(f'<meta http-equiv="refresh" content="0; url={self._address()}">')
        self._hint = Path(page.name)
        webbrowser.open(self._hint.as_uri())


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if path and not path.startswith("/"):
        raise UsageError(f"root_path {text:.60}: begin it with /", option="root_path")
    if not path.isascii():
        raise UsageError(f"root_path {text:.60}: use ASCII characters", option="root_path")
    return path


def _check_uploads(served: Index | Gallery, folder: Path | None) -> None:
    if folder is None:
        return
    if isinstance(served, Gallery):
        raise UsageError("a shared gallery takes no uploads; serve an index", option="uploads")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; make it first")
    if folder.resolve().is_relative_to(served.path.resolve()):
        raise InputError(f"{folder}: is in the index; choose a folder for photos")
