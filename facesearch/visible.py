"""Escape characters that a terminal would execute, hide or reorder.

File names can contain any bytes. Printed unchanged, they may move the cursor, change colours or the window's title,
break a line in two, or show the rest of it from right to left.
"""

from __future__ import annotations

import os
import unicodedata

__all__ = ["shown_path", "visible", "visible_in_json", "width"]

_RAW_BYTES = range(0xDC80, 0xDD00)
"""The code points with which Python represents bytes that are not UTF-8."""


def visible(text: str) -> str:
    r"""Return one line of printable characters: others become `\n`, `\x1b` or `\u202e`, and invalid bytes `\xff`.

    Letters of all scripts, accents, symbols and plain spaces stay.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def visible_in_json(text: str) -> str:
    r"""Escape invisible characters in finished output as JSON does, such as `\u001b`; keep line breaks and tabs.

    JSON contains such characters only in strings, where the escape is equivalent: it stays valid and means the same.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else _json_escape(one) for one in text)


def shown_path(path: str) -> str:
    """Return a path for a program to read: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode(errors="replace")


def width(text: str) -> int:
    """Return the number of terminal columns of a text: two for wide characters, none for combining accents."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if code in _RAW_BYTES else repr(character)[1:-1]


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
