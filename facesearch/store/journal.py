"""Which photos are being looked at: what a process that died leaves behind.

Decoders are written in C and meet hostile files; one can take the whole process down, where no error can be caught.
So each photo is noted before it is looked at and struck out afterwards. What the next run finds noted was in hand when
the last one died.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Journal"]


class Journal:
    """A small file of paths in hand, each with the number of deaths it would then have been at.

    Written without flushing to the disk: it is there for a process that dies, not for a power cut. `path` None keeps
    nothing. One run at a time uses it: the holder of the writer's lock.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.deaths: dict[bytes, int] = {}
        """Photos that were in hand when an earlier run died, and how many times."""
        if path is not None and path.exists():
            for line in path.read_text("ascii", "replace").splitlines():
                count, _, name = line.partition(" ")
                try:
                    self.deaths[bytes.fromhex(name)] = int(count)
                except ValueError:
                    continue  # cut off while it was written
        self._noted = dict(self.deaths)

    def take(self, path: bytes) -> None:
        """Note a photo before it is looked at."""
        self._noted[path] = self.deaths.get(path, 0) + 1
        self._write()

    def drop(self, path: bytes) -> None:
        """Strike a photo out: it was looked at, and the process is alive."""
        self.deaths.pop(path, None)
        if self._noted.pop(path, None) is not None:
            self._write()

    def clear(self) -> None:
        """Nothing is in hand; whatever ends the run now is no death."""
        self.deaths.clear()
        self._noted.clear()
        if self._path is not None:
            for path in (self._path, self._path.with_name(f".{self._path.name}.tmp")):
                path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._path is None:
            return
        text = "".join(f"{count} {path.hex()}\n" for path, count in self._noted.items())
        beside = self._path.with_name(f".{self._path.name}.tmp")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(descriptor, text.encode("ascii"))
            finally:
                os.close(descriptor)
            beside.replace(self._path)  # a process may die at any moment, and the note is for that moment
        except OSError:
            pass  # a full disk is told by the catalog; this note is a precaution
