"""Divide the photos of a folder among several indexes, by their paths alone.

The shard of a photo follows from its path relative to the folder, as bytes, and from the number of shards, and from
nothing else: no other file, no list of formats. This rule may never change: two versions of facesearch that divide one
tree must agree, and a photo that changes its shard is read again on another machine.

Files of one shot have one name with different endings: `IMG_1.JPG`, `IMG_1.CR2`, `IMG_1.MOV`, `IMG_1.JPG.xmp`. Only the
folder and the name without its endings count, so that they stay together. facesearch does not read RAW photos, videos
and sidecar files yet; a version that does will find them in the index that has the photo. Copies are recognised by
their content, and may be in several shards: to divide by content, every machine would have to read every photo.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from facesearch.errors import UsageError
from facesearch.visible import visible

__all__ = ["Shard"]

_MOST = 10_000
_TEXT = re.compile(r"(\d{1,5})/(\d{1,5})", re.ASCII)
_ALL = "all"
_ENDINGS = re.compile(rb"(?<=.)(?:\.(?=[0-9]*[A-Za-z])[0-9A-Za-z]{1,5})+\Z", re.DOTALL)
"""The endings of a file name: up to five letters and digits, not only digits, which may be a time: `12.30.45.jpg`."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shards of a folder, by its `number` from 1 on; by default the whole folder."""

    number: int = 1
    count: int = 1

    @classmethod
    def of(cls, text: object) -> Self:
        """Return the shard that a text such as `3/10` stands for; `all` and `1/1` are the whole folder.

        Raises `UsageError` for anything else.
        """
        if text == _ALL:
            return cls()
        match = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise _invalid(text, "not a shard; write the third of ten as 3/10, or all for the whole folder")
        number, count = int(match[1]), int(match[2])
        if not 1 <= count <= _MOST:
            raise _invalid(text, f"a folder has 1 to {_MOST:,} shards; write the third of ten as 3/10")
        if not 1 <= number <= count:
            raise _invalid(text, f"there is no number {number} of {count}; write 1/{count} to {count}/{count}")
        return cls(number, count)

    @property
    def is_all(self) -> bool:
        """Whether this is the whole folder."""
        return self.count == 1

    def has(self, path: bytes) -> bool:
        """Whether a photo is in this shard; `path` is relative to the folder, in the system's bytes."""
        return self.count == 1 or _shard_of(path, self.count) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def _invalid(text: object, why: str) -> UsageError:
    return UsageError(f"shard {visible(str(text)):.60}: {why}", option="shard")


def _shard_of(path: bytes, count: int) -> int:
    """Return the number, from 1 on, of the shard of a path.

    This is the "jump consistent hash" of Lamping and Veach (2014): one more shard takes an equal part from each of the
    others, and all other photos stay where they are.
    """
    folder, name = os.path.split(path)
    key = int.from_bytes(blake2b(folder + b"/" + _ENDINGS.sub(b"", name), digest_size=8).digest(), "big")
    shard, following = 0, 0
    while following < count:
        shard = following
        key = (key * 2_862_933_555_777_941_757 + 1) % 2**64
        following = int((shard + 1) * (2**31 / ((key >> 33) + 1)))
    return shard + 1
