"""Record which photos are in progress, so that the next run knows what a process was reading when it died.

Decoders are written in C and read hostile files; one can crash the whole process, and no error can be caught. So each
photo is recorded before it is read and removed afterwards. What the next run finds in the record was in progress when
the last one died. That is only a suspicion: a power cut, full memory or `kill -9` end a process as well.
"""

from __future__ import annotations

import os
from pathlib import Path

from facesearch.files import replacing

__all__ = ["CrashGuard"]

_LARGE = 65536


class CrashGuard:
    """A small log of the paths in progress: a line with 1 adds a path, a line with 0 removes it.

    Lines are appended, and the file is rewritten when it has grown. It is not flushed to the disk: it is for a process
    that dies, not for a power cut. With `path` None nothing is stored. Only the holder of the writer's lock uses it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._noted: set[bytes] = set()
        if path is not None and path.is_file():  # reading a pipe would block
            *lines, _cut_off = path.read_text("ascii", "replace").split("\n")
            for line in lines:
                count, _, name = line.partition(" ")
                try:
                    taken, noted = int(count) > 0, bytes.fromhex(name)
                except ValueError:
                    continue  # not written by facesearch
                (self._noted.add if taken and noted else self._noted.discard)(noted)
        self.suspects: frozenset[bytes] = frozenset(self._noted)
        """Photos that were in progress when an earlier run died, and have not been read since."""
        self._descriptor: int | None = None
        self._length = 0

    def take(self, path: bytes) -> None:
        """Record a photo before it is read."""
        self._noted.add(path)
        self._add(path)

    def drop(self, path: bytes) -> None:
        """Remove a photo: it was read, and the process is alive."""
        self.suspects -= {path}
        if path in self._noted:
            self._noted.discard(path)
            self._add(path)

    def close(self) -> None:
        """End the run in good order: only suspects that have not been read stay recorded."""
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
        if not self._path.is_dir():  # a folder is not facesearch's
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
        except OSError:  # a full disk: the catalog reports it; the next call starts a new file
            self._close()

    def _begin(self, path: Path) -> None:
        """Replace the file with one that lists what is in progress now; the process may die at any moment."""
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
