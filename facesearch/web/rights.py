"""Who may do what: visitors and their rights, the tokens of services, one-time keys, and the sessions of browsers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from facesearch.errors import InputError, UsageError

__all__ = ["Keyring", "Rights", "Tokens", "Visitor", "is_name"]

_MOST_SESSIONS = 1000
_MOST_KEYS = 100
_LEAST_TOKEN = 16
_LONGEST_NAME = 100


class Rights(IntEnum):
    """What a visitor may do; each includes those before it.

    LOOK: search and see photos. NAME: say who people are. OWNER: forget, upload, refresh and export.
    """

    LOOK = 1
    NAME = 2
    OWNER = 3

    @classmethod
    def called(cls, text: str) -> Rights:
        """Return rights by their name in lower case. Raises `UsageError`."""
        try:
            return {"look": cls.LOOK, "name": cls.NAME, "owner": cls.OWNER}[text]
        except KeyError:
            raise UsageError(f"rights {text:.20}: choose look, name or owner", option="rights") from None

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with rights; statements carry the name as their author."""

    name: str
    rights: Rights


def is_name(text: str) -> bool:
    """Whether a visitor may be called so: statements, which are shown on terminals, carry the name."""
    return bool(text.strip()) and text.isprintable() and len(text) <= _LONGEST_NAME


class Tokens:
    """The tokens of services. Only their digests are kept in memory, and all are compared in constant time."""

    def __init__(self, visitors: dict[str, Visitor]) -> None:
        self._visitors = [(_digest(token), visitor) for token, visitor in visitors.items()]

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """Read a file with `NAME RIGHTS TOKEN` on each line; empty lines and those that start with # are skipped.

        Raises `InputError` if it cannot be read, if others than its owner can, or if a line is wrong.
        """
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                raise InputError(f"{path}: not a file; give a file of tokens")
            if facts.st_mode & 0o077:
                raise InputError(f"{path}: others can read it (mode {facts.st_mode & 0o777:04o}); run chmod 600 on it")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not text in UTF-8; write NAME RIGHTS TOKEN on each line") from error
        visitors: dict[str, Visitor] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            token, visitor = _visitor(f"{path}, line {number}", line.split())
            if token in visitors:
                raise InputError(f"{path}, line {number}: this token was given before; each needs its own")
            visitors[token] = visitor
        if not visitors:
            raise InputError(f"{path}: no token in it; write NAME RIGHTS TOKEN on each line")
        return cls(visitors)

    def visitor_of(self, token: str) -> Visitor | None:
        """Return who has this token."""
        return _found(self._visitors, token)


class Keyring:
    """One-time keys, and the sessions that begin with them, or with a token. All end with the server."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._keys: OrderedDict[bytes, Visitor] = OrderedDict()
        self._sessions: OrderedDict[bytes, Visitor] = OrderedDict()

    def new_key(self, visitor: Visitor) -> str:
        """Return a key that begins one session."""
        return _added(self._keys, visitor, _MOST_KEYS)

    def begin(self, key: str) -> tuple[str, Visitor] | None:
        """Return a new session and its visitor; None if the key is neither a token nor one that was not used yet."""
        visitor = _found(list(self._keys.items()), key)
        if visitor is not None:
            del self._keys[_digest(key)]
        else:
            visitor = self._tokens.visitor_of(key)
        if visitor is None:
            return None
        return _added(self._sessions, visitor, _MOST_SESSIONS), visitor

    def is_unused(self, key: str) -> bool:
        """Whether a key still begins a session."""
        return _digest(key) in self._keys

    def visitor_of(self, session: str) -> Visitor | None:
        """Return whose session this is."""
        return _found(list(self._sessions.items()), session)

    def end(self, session: str) -> None:
        """End a session."""
        self._sessions.pop(_digest(session), None)


def _visitor(place: str, parts: list[str]) -> tuple[str, Visitor]:
    if len(parts) != 3:
        raise InputError(f"{place}: write NAME RIGHTS TOKEN, separated by spaces")
    name, rights, token = parts
    try:
        allowed = Rights.called(rights)
    except UsageError as error:
        raise InputError(f"{place}: {error.problem}") from error
    if len(token) < _LEAST_TOKEN:
        raise InputError(f"{place}: the token is shorter than {_LEAST_TOKEN} characters; choose a random one")
    if not token.isascii():
        raise InputError(f"{place}: the token has characters that a header cannot carry; use ASCII")
    if not is_name(name):
        raise InputError(f"{place}: the name has invisible characters, or more than {_LONGEST_NAME}")
    return token, Visitor(name, allowed)


def _added(kept: OrderedDict[bytes, Visitor], visitor: Visitor, most: int) -> str:
    token = secrets.token_urlsafe(32)
    kept[_digest(token)] = visitor
    while len(kept) > most:
        kept.popitem(last=False)
    return token


def _found(kept: list[tuple[bytes, Visitor]], token: str) -> Visitor | None:
    """Return whose token this is, in a time that does not depend on it."""
    digest, found = _digest(token), None
    for known, visitor in kept:
        if hmac.compare_digest(known, digest):
            found = visitor
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
