"""Which photos are being looked at: what a process that died leaves behind.

Decoders are written in C and meet hostile files; one can take the whole process down, where no error can be caught. So
each photo is noted before it is looked at and struck out afterwards. What the next run finds noted was in hand when the
last one died. That is a suspicion and no more: a power cut, a full memory or `kill -9` end a process as well.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Journal"]

_LARGE = 65536


class Journal:
    """A small file of paths in hand: a line with 1 takes a path, one with 0 strikes it out.

    Lines are added, and the file is written again when it has grown. Written without flushing to the disk: it is there
    for a process that dies, not for a power cut. `path` None keeps nothing. One run at a time uses it: the holder of
    the writer's lock.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._noted: set[bytes] = set()
        if path is not None and path.is_file():  # a pipe would be waited for
            *lines, _cut_off = path.read_text("ascii", "replace").split("\n")
            for line in lines:
                count, _, name = line.partition(" ")
                try:
                    taken, noted = int(count) > 0, bytes.fromhex(name)
                except ValueError:
                    continue  # not written by us
                (self._noted.add if taken and noted else self._noted.discard)(noted)
        self.suspects: frozenset[bytes] = frozenset(self._noted)
        """Photos that were in hand when an earlier run died, and have not been looked at since."""
        self._descriptor: int | None = None
        self._length = 0

    def take(self, path: bytes) -> None:
        """Note a photo before it is looked at."""
        self._noted.add(path)
        self._add(path)

    def drop(self, path: bytes) -> None:
        """Strike a photo out: it was looked at, and the process is alive."""
        self.suspects -= {path}
        if path in self._noted:
            self._noted.discard(path)
            self._add(path)

    def close(self) -> None:
        """The run ends: what is in hand is given up in good order. Suspects that nobody has looked at stay."""
        self._noted = set(self.suspects)
        self._close()
        if self._path is None:
            return
        try:
            if self._noted:
                self._begin(self._path)
                self._close()
                return
        except OSError:
            pass  # a full disk: as in `_add`
        for path in (self._path, self._beside(self._path)):
            if not path.is_dir():  # not ours
                path.unlink(missing_ok=True)

    def _add(self, path: bytes) -> None:
        if self._path is None:
            return
        line = f"{int(path in self._noted)} {path.hex()}\n".encode("ascii")
        try:
            if self._descriptor is None or self._length > _LARGE:
                self._begin(self._path)
            else:
                self._length += os.write(self._descriptor, line)
        except OSError:
            pass  # a full disk is told by the catalog; this note is a precaution

    def _begin(self, path: Path) -> None:
        """A new file with what is in hand now: a process may die at any moment, and the note is for that moment."""
        self._close()
        text = "".join(f"1 {name.hex()}\n" for name in self._noted).encode("ascii")
        beside = self._beside(path)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._length = os.write(descriptor, text)
            beside.replace(path)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor  # only now: without it the next note begins again

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def _beside(path: Path) -> Path:
        return path.with_name(f".{path.name}.tmp")
