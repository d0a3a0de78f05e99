"""Which photos are being looked at: what a process that died leaves behind.

Decoders are written in C and meet hostile files; one can take the whole process down, where no error can be caught.
So each photo is noted before it is looked at and struck out afterwards. What the next run finds noted was in hand when
the last one died.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Journal"]

_LARGE = 65536


class Journal:
    """A small file of paths in hand, each with the number of deaths it would then have been at; 0 strikes it out.

    Lines are added, and the file is written anew when it has grown. Written without flushing to the disk: it is there
    for a process that dies, not for a power cut. `path` None keeps nothing. One run at a time uses it: the holder of
    the writer's lock.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.deaths: dict[bytes, int] = {}
        """Photos that were in hand when an earlier run died, and how many times."""
        if path is not None and path.exists():
            *lines, _cut_off = path.read_text("ascii", "replace").split("\n")
            for line in lines:
                count, _, name = line.partition(" ")
                try:
                    self.deaths[bytes.fromhex(name)] = int(count)
                except ValueError:
                    continue  # not written by us
        self.deaths = {name: count for name, count in self.deaths.items() if name and count}
        self._noted = dict(self.deaths)
        self._descriptor: int | None = None
        self._length = 0

    def take(self, path: bytes) -> None:
        """Note a photo before it is looked at."""
        self._noted[path] = self.deaths.get(path, 0) + 1
        self._add(path)

    def drop(self, path: bytes) -> None:
        """Strike a photo out: it was looked at, and the process is alive."""
        self.deaths.pop(path, None)
        if self._noted.pop(path, None) is not None:
            self._add(path)

    def clear(self) -> None:
        """Nothing is in hand; whatever ends the run now is no death."""
        self.deaths.clear()
        self._noted.clear()
        self._close()
        if self._path is not None:
            for path in (self._path, self._beside(self._path)):
                path.unlink(missing_ok=True)

    def _add(self, path: bytes) -> None:
        if self._path is None:
            return
        line = f"{self._noted.get(path, 0)} {path.hex()}\n".encode("ascii")
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
        text = "".join(f"{count} {name.hex()}\n" for name, count in self._noted.items()).encode("ascii")
        beside = self._beside(path)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._length = os.write(descriptor, text)
            beside.replace(path)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor  # only now: without it the next note begins anew

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def _beside(path: Path) -> Path:
        return path.with_name(f".{path.name}.tmp")
