"""The address of a shared gallery, and its password, which is stored nowhere."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from facesearch.errors import Hint, UsageError

__all__ = ["SCHEMES", "Address"]

_IN_ENVIRONMENT, _IN_FILE = "FACESEARCH_GALLERY_PASSWORD", "FACESEARCH_GALLERY_PASSWORD_FILE"
"""Environment variables: the password of a gallery's server, and the file that has it in its first line."""

SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a gallery. As text it has no password."""

    text: str
    _given: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Address:
        """Take an address apart. Raises `UsageError` if it is not one."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"{_hidden(url)}: not an address ({error})", Hint.GALLERY_ADDRESS) from error
        if parts.scheme not in SCHEMES:
            raise UsageError(f"{_hidden(url)}: not the address of a gallery", Hint.GALLERY_ADDRESS)
        if "password=" in parts.query or "passfile=" in parts.query:
            raise UsageError(f"{host or parts.scheme}: the address has a password after the ?", Hint.GALLERY_LOGIN)
        user, at, place = parts.netloc.rpartition("@")
        name, colon, password = user.partition(":")
        shown = parts._replace(netloc=f"{name}{at}{place}").geturl()
        return cls(shown, unquote(password) if colon else None)

    @property
    def has_password(self) -> bool:
        """Whether the address was given with a password."""
        return self._given is not None

    def __str__(self) -> str:
        return self.text

    def password(self) -> str | None:
        """Return the password: given with the address, or from the environment; None leaves it to the client.

        Raises `UsageError` if the file with the password cannot be read, or others can read it.
        """
        named = os.environ.get(_IN_FILE)
        if self._given is not None or _IN_ENVIRONMENT in os.environ or not named:
            return self._given if self._given is not None else os.environ.get(_IN_ENVIRONMENT)
        path = Path(named).expanduser()
        try:
            mode, text = path.stat().st_mode, path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise UsageError(f"{path}: the password cannot be read ({reason}); check ${_IN_FILE}") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"{path}: others can read this file with a password; chmod 600 {path}")
        return text.split("\n", 1)[0].rstrip("\r")

    def without_password(self, text: str) -> str:
        """Return a text in which the password does not occur."""
        secret = self._given
        return text.replace(secret, "***") if secret else text


def _hidden(url: str) -> str:
    """Return an address that cannot be taken apart, without what may be a password."""
    before, at, after = url.rpartition("@")
    scheme = before.partition("://")[0] if "://" in before else ""
    return f"{scheme}://...@{after}" if at and scheme else after if at else url
