"""Which photos are being read: what a process that died leaves behind.

Decoders are written in C and meet hostile files; one can take the whole process down, where no error can be caught. So
each photo is noted before it is read and struck out afterwards. What the next run finds noted was in hand when the last
one died. That is a suspicion and no more: a power cut, a full memory or `kill -9` end a process as well.
"""

from __future__ import annotations

import os
from pathlib import Path

from facesearch.files import replacing

__all__ = ["CrashGuard"]

_LARGE = 65536


class CrashGuard:
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
        """Photos that were in hand when an earlier run died, and have not been read since."""
        self._descriptor: int | None = None
        self._length = 0

    def take(self, path: bytes) -> None:
        """Note a photo before it is read."""
        self._noted.add(path)
        self._add(path)

    def drop(self, path: bytes) -> None:
        """Strike a photo out: it was read, and the process is alive."""
        self.suspects -= {path}
        if path in self._noted:
            self._noted.discard(path)
            self._add(path)

    def close(self) -> None:
        """The run ends: what is in hand is given up in good order. Suspects that nobody has read stay."""
        self._noted = set(self.suspects)
        if self._path is None:
            return
        try:
            if self._noted:
                self._begin(self._path)
                self._close()
                return
        except OSError:
            pass  # a full disk: as in `_add`
        self._close()
        if not self._path.is_dir():  # not ours
            self._path.unlink(missing_ok=True)

    def _add(self, path: bytes) -> None:
        if self._path is None:
            return
        line = f"{int(path in self._noted)} {path.hex()}\n".encode("ascii")
        try:
            if self._descriptor is None or self._length > _LARGE:
                self._begin(self._path)
            else:
                self._length += os.write(self._descriptor, line)
        except OSError:  # a full disk is told by the catalog; this note is a precaution, and the next begins anew
            self._close()

    def _begin(self, path: Path) -> None:
        """A new file with what is in hand now: a process may die at any moment, and the note is for that moment."""
        self._close()
        text = "".join(f"1 {name.hex()}\n" for name in self._noted).encode("ascii")
        with replacing(path, flush=False) as stream:
            stream.write(text)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        self._length = len(text)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
