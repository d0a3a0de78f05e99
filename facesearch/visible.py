"""Text made visible: what a terminal would obey, hide or turn around is shown as an escape instead.

File names are any bytes. Sent to a terminal as they are they may move the cursor, change colours or the window's title,
break a line in two, or show the rest of it from right to left.
"""

from __future__ import annotations

import os
import unicodedata

__all__ = ["shown_path", "visible", "visible_in_json", "width"]

_RAW_BYTES = range(0xDC80, 0xDD00)
"""How Python holds bytes that are not UTF-8."""


def visible(text: str) -> str:
    r"""One line of characters that can be seen: others as `\n`, `\x1b` or `\u202e`; bytes that are no text as `\xff`.

    Letters of all scripts, accents, symbols and plain spaces stay.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def visible_in_json(text: str) -> str:
    r"""Finished output, its lines and tabs kept, with all else that cannot be seen in JSON's way, as `\u001b`.

    JSON has such characters in strings alone, where that means the same: it stays valid, and says what it said.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else _json_escape(one) for one in text)


def shown_path(path: str) -> str:
    """A path for a program to read: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path).decode(errors="replace")


def width(text: str) -> int:
    """Columns that a text takes on a terminal: two for wide characters, none for accents that go on the one before."""
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
