"""The address of a shared gallery, and its password, which is stored nowhere."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from facesearch.errors import Hint, UsageError

__all__ = ["SCHEMES", "Address"]

_IN_ENVIRONMENT, _IN_FILE = "FACESEARCH_GALLERY_PASSWORD", "FACESEARCH_GALLERY_PASSWORD_FILE"
"""Environment variables: the password of a gallery's server, and the file that has it in its first line."""

SCHEMES = ("postgresql", "postgres", "http", "https", "milvus-lite")
"""How an address may start: the first two are PostgreSQL, the others Milvus."""


_CERTIFICATES = frozenset({"ca_pem_path", "client_pem_path", "client_key_path", "server_pem_path", "server_name"})
"""The parameters that an address of Milvus may have, as its client calls them."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a gallery. As text it has no password."""

    text: str
    _given: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Address:
        """Take an address apart. Raises `UsageError` if it is not one; the message has no password."""
        scheme, separator, rest = url.partition("://")
        if scheme not in SCHEMES or not separator or not url.isprintable():
            raise UsageError(
                f"{scheme if separator else url!s:.60}: not the address of a gallery", Hint.GALLERY_ADDRESS
            )
        ends = [place for place in map(rest.find, "/?#") if place >= 0]
        authority, after = (rest[: min(ends)], rest[min(ends) :]) if ends else (rest, "")
        if "@" in after:
            raise UsageError(f"{scheme}://...: has an @ after the host; write / ? # @ in a password as %2F %3F %23 %40")
        secrets = {"password", "passfile", "sslpassword", "oauth_client_secret", "token", "api_key"}
        if secrets & {name for name, _ in parse_qsl(after.partition("?")[2], keep_blank_values=True)}:
            raise UsageError(f"{scheme}://...: has a password after the ?", Hint.GALLERY_LOGIN)
        user, at, place = authority.rpartition("@")
        name, colon, password = user.partition(":")
        address = cls(f"{scheme}://{name}{at}{place}{after}", unquote(password) if colon else None)
        if not address.is_postgres:
            address._require_milvus()
        return address

    def __str__(self) -> str:
        return self.text

    def _require_milvus(self) -> None:
        """Raise `UsageError` if it is not a full address of Milvus."""
        try:
            port = urlsplit(self.text).port
        except ValueError as error:
            raise UsageError(f"{self}: not an address ({error}); write http://HOST:19530/DATABASE") from error
        if self.scheme == "milvus-lite":
            if self.host or not self.path.endswith(".db"):
                raise UsageError(
                    f"{self}: give the full path of a folder that ends in .db: milvus-lite:///home/me/faces.db"
                )
        elif not urlsplit(self.text).hostname or port == 0:
            raise UsageError(f"{self}: has no host; write http://HOST:19530/DATABASE")
        if unknown := self.parameters.keys() - _CERTIFICATES:
            raise UsageError(
                f"{self}: {min(unknown)} is not a parameter of this address (known: {', '.join(sorted(_CERTIFICATES))})"
            )

    @property
    def scheme(self) -> str:
        """How it starts; one of `SCHEMES`."""
        return self.text.partition("://")[0]

    @property
    def is_postgres(self) -> bool:
        """Whether it is the address of PostgreSQL, and not of Milvus."""
        return self.scheme.startswith("postgres")

    @property
    def path(self) -> str:
        """What comes after the host: the name of a database, or the path of a file."""
        return unquote(urlsplit(self.text).path)

    @property
    def host(self) -> str:
        """The host, with the port if there is one, without the user."""
        return urlsplit(self.text).netloc.rpartition("@")[2]

    @property
    def user(self) -> str:
        """The user, or an empty text."""
        return unquote(urlsplit(self.text).username or "")

    @property
    def parameters(self) -> dict[str, str]:
        """What comes after the question mark."""
        return dict(parse_qsl(urlsplit(self.text).query, keep_blank_values=True))

    def password(self) -> str | None:
        """Return the password: given with the address, or from the environment; None leaves it to the client.

        Raises `UsageError` if the file with the password cannot be read, or others can read it.
        """
        named = os.environ.get(_IN_FILE)
        if self._given is not None or _IN_ENVIRONMENT in os.environ or not named:
            given = self._given if self._given is not None else os.environ.get(_IN_ENVIRONMENT)
            if given is not None and not given.isprintable():
                raise UsageError(f"${_IN_ENVIRONMENT}: has characters that are not text")
            return given
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
