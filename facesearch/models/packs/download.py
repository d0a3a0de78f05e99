"""Download an archive, within limits, and resume an interrupted download; used only to pull packs.

Redirects must not lead to a less secure scheme. Sizes are limited before and during the transfer. A partial download is
kept next to its target with the validator (ETag) of the archive: the next run resumes it, unless the archive has
changed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.parse import urlsplit

from facesearch.errors import Hint, ModelError, StorageError, UsageError
from facesearch.settings import write_json

__all__ = ["Download", "Limits", "Progress", "fetch", "is_address", "require_free", "storage_errors"]

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes received and the total, which is None if unknown."""

_PIECE = 256 * 1024
_HEADWAY = 2**20
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_NOT_SATISFIABLE = 416
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a download in time and size.

    `timeout` is in seconds without a byte. `attempts` is the number of consecutive attempts that receive less than a
    mebibyte; `pause` is the time in seconds before the second attempt, and doubles for each later one. `archive` and
    `unpacked` are sizes in bytes; `files` is the number of files in an archive.
    """

    timeout: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    archive: int = 2 * 2**30
    unpacked: int = 4 * 2**30
    files: int = 200


def is_address(source: str) -> bool:
    """Return True if `source` is an http(s) address, False if it is a file. Raises `UsageError` for other addresses."""
    if "://" not in source:
        return False
    try:
        parts = urlsplit(source)
        fetched = (
            parts.scheme in ("https", "http") and bool(parts.hostname) and source.isascii() and source.isprintable()
        )
    except ValueError:
        fetched = False
    if not fetched or " " in source:
        raise UsageError(f"{source}: not an address to fetch from; give one that begins with https://, or a .zip file")
    return True


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, but not to a less secure scheme."""

    max_redirections = 5
    max_repeats = 2

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("https", req.type):
            raise ModelError(f"{req.full_url}: redirects to {newurl}, which is less secure; nothing was installed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https only: urllib's default would also open files and ftp."""
    opener = urllib.request.OpenerDirector()
    opener.addheaders = []
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


class Download:
    """A partial download, with the archive's length and validator in a file next to it, to resume it later."""

    def __init__(self, url: str, part: Path, descriptor: int, limits: Limits) -> None:
        self.url, self.limits, self._part, self._descriptor = url, limits, part, descriptor
        self._side = part.with_name(f"{part.name}.json")
        self.size = os.fstat(descriptor).st_size
        self.length: int | None = None
        self._validator: str | None = None
        try:
            kept = json.loads(self._side.read_text())
            if kept["url"] == url and self.size <= int(kept["length"]):
                self.length, self._validator = int(kept["length"]), str(kept["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # start again
        if self._validator is None:
            self.start_anew()

    def is_complete(self) -> bool:
        """Return True if the whole archive has been received."""
        return self.length is not None and self.size == self.length

    def request(self) -> urllib.request.Request:
        """Return a request for the missing bytes."""
        headers = {"User-Agent": "facesearch", "Accept-Encoding": "identity"}
        if self.size and self._validator:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self._validator}
        return urllib.request.Request(self.url, headers=headers)  # noqa: S310 - the opener accepts http(s) only

    def start_anew(self) -> None:
        """Discard the received bytes: they are no longer needed, or the archive has changed."""
        os.ftruncate(self._descriptor, 0)
        self.size, self.length, self._validator = 0, None, None
        self._side.unlink(missing_ok=True)

    def receive(self, response: Any, progress: Progress) -> None:
        """Receive bytes until the archive is complete or the connection ends.

        Raises `ModelError` if the server sends more than it announced or than is allowed, `StorageError`.
        """
        with storage_errors(self._part):
            if response.status == 206 and not self._goes_on(response.headers):
                self.start_anew()  # not the requested part
                return
            if response.status != 206:
                self._begin(response.headers)
            self._require_room()
        progress(self.size, self.length)
        while not self.is_complete():
            piece = response.read1(_PIECE)
            if not piece:
                break
            if self.size + len(piece) > (self.limits.archive if self.length is None else self.length):
                self.start_anew()
                raise ModelError(f"{self.url}: sends more than announced, or than is allowed; nothing was installed")
            self._write(piece)
            progress(self.size, self.length)
        if self.length is None:  # not announced: the archive ends with the regular end of the connection
            self.length = self.size

    def _goes_on(self, headers: HTTPMessage) -> bool:
        """Return True if the response is the rest of this archive."""
        rest = f"bytes {self.size}-{(self.length or 0) - 1}/{self.length}"
        return headers.get("Content-Range") == rest and headers.get("ETag", self._validator) == self._validator

    def _begin(self, headers: HTTPMessage) -> None:
        self.start_anew()
        announced, etag = headers.get("Content-Length", ""), headers.get("ETag", "")
        self.length = int(announced) if announced.isascii() and announced.isdigit() else None
        if self.length is not None and self.length > self.limits.archive:
            raise ModelError(
                f"{self.url}: {self.length:,} bytes are over the limit of {self.limits.archive:,} for a pack; nothing "
                "was fetched"
            )
        if self.length is not None and etag and not etag.startswith("W/"):  # a weak one does not identify the bytes
            self._validator = etag
            write_json(self._side, {"url": self.url, "length": self.length, "etag": etag})

    def _require_room(self) -> None:
        if self.length is not None:
            require_free(self._part.parent, self.length - self.size + self.length * 6 // 5, "the archive and the pack")

    def _write(self, piece: bytes) -> None:
        os.lseek(self._descriptor, self.size, os.SEEK_SET)
        view = memoryview(piece)
        while view:
            try:
                written = os.write(self._descriptor, view)
            except OSError as error:  # of the disk, not of the connection
                _raise_storage_error(error, self._part)
            view = view[written:]
            self.size += written


def fetch(download: Download, name: str, folder: Path, progress: Progress, notify: Callable[[str], None]) -> None:
    """Complete a download and resume it when the connection is cut. Raises `ModelError` or `StorageError`."""
    limits = download.limits
    opener = _opener()
    failures, connected = 0, False
    while not download.is_complete():
        before = download.size
        try:
            with opener.open(download.request(), timeout=limits.timeout) as response:
                connected = True
                download.receive(response, progress)
            trouble = "the connection was cut"
        except urllib.error.HTTPError as error:
            trouble = _refusal(error, download, name)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: from an invalid redirect
            if isinstance(error, urllib.error.URLError) and not connected:
                _raise_unreachable(error, download.url, name, folder)
            trouble = (
                "no answer in time" if isinstance(error, TimeoutError) else f"the connection was cut ({_reason(error)})"
            )
        if download.is_complete():
            return
        failures = 1 if download.size - before >= _HEADWAY else failures + 1
        if failures >= limits.attempts:
            raise ModelError(
                f"{download.url}: {trouble}, {failures} times; the {download.size:,} bytes received are kept, and the "
                f"same command resumes the download; {_by_hand(download.url, name)}"
            )
        notify(f"{trouble} at {download.size:,} bytes; trying again")
        time.sleep(limits.pause * 2 ** (failures - 1))


def _refusal(error: urllib.error.HTTPError, download: Download, name: str) -> str:
    """Return the server's answer if another attempt may help; otherwise raise `ModelError`."""
    with error:
        if error.code == _NOT_SATISFIABLE:
            download.start_anew()  # the archive has become shorter
        elif 300 <= error.code < 400:
            raise ModelError(
                f"{download.url}: too many redirects, or one that cannot be followed "
                f"({error.headers.get('Location')}); nothing was installed"
            )
        elif error.code not in _PASSING:
            raise ModelError(
                f"{download.url}: the server answers {error.code} {error.reason}; {_by_hand(download.url, name)}"
            )
        return f"the server answers {error.code} {error.reason}"


def _raise_unreachable(error: urllib.error.URLError, url: str, name: str, folder: Path) -> NoReturn:
    offline = " (is this machine offline?)" if isinstance(error.reason, socket.gaierror) else ""
    raise ModelError(
        f"{urlsplit(url).hostname} cannot be reached: {_reason(error)}{offline}; {_by_hand(url, name)}, which unpacks "
        f"it into {folder / name}"
    ) from error


def _reason(error: Exception) -> str:
    """Return the message of the system or the library in one line."""
    reason = getattr(error, "reason", error)
    return " ".join(str(getattr(reason, "strerror", None) or reason).split())


def _by_hand(url: str, name: str) -> str:
    return Hint.BY_HAND.format(url=url, name=name)


def require_free(folder: Path, wanted: int, what: str) -> None:
    """Raise `StorageError` if a disk has fewer free bytes than `wanted`."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise StorageError(
            f"{folder}: {what} need {wanted:,} bytes, but only {free:,} are free; free some space, or set "
            "INSIGHTFACE_HOME to another disk"
        )


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn an `OSError` of the disk into a `StorageError`."""
    try:
        yield
    except OSError as error:
        _raise_storage_error(error, folder)


def _raise_storage_error(error: OSError, path: Path) -> NoReturn:
    if error.errno in _FULL:
        raise StorageError(f"{path}: the disk is full; free some space, then run the same command again") from error
    raise StorageError(f"{error.filename or path}: {error.strerror}; check the folder") from error
