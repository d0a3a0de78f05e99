"""What a file shows: one picture, or several moments, each a picture with its time. Photos are opened here.

Still photos are all there is so far. A kind of file that gives several moments (a video, an animation) is another class
with the interface of `Source`, chosen in `open_source` by what the file's first bytes announce.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, Self

from facesearch.photos.picture import Photo
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from facesearch.types import PhotoFacts

__all__ = ["Moment", "Source", "Still", "open_source"]


class Moment(NamedTuple):
    """One picture of a source; `at_ms` is its time in a video in milliseconds, None for a still photo."""

    picture: Photo
    at_ms: int | None = None


class Source(Protocol):
    """A file whose pictures can be asked for while it is open."""

    @property
    def facts(self) -> PhotoFacts:
        """Its size in pixels, and what its metadata say."""
        ...

    @property
    def cover(self) -> Photo:
        """The picture that stands for it: a still photo itself."""
        ...

    def moments(self) -> Iterator[Moment]:
        """Its pictures in the order of their times, each made when it is asked for. Raises `PhotoError`."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what `open_source` has opened."""
        ...


class Still:
    """A photo: one moment without a time. `owned` is a stream to be closed with it."""

    def __init__(self, photo: Photo, owned: BinaryIO | None = None) -> None:
        self.cover = photo
        self._owned = owned

    @property
    def facts(self) -> PhotoFacts:
        """See `Source.facts`."""
        return self.cover.facts

    def moments(self) -> Iterator[Moment]:
        """See `Source.moments`."""
        yield Moment(self.cover)

    def __enter__(self) -> Self:
        """See `Source`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `Source`."""
        if self._owned is not None:
            self._owned.close()


def open_source(file: bytes | BinaryIO | str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Source:
    """Open a photo from its content (bytes), a stream, or a path (str or `Path`).

    A path is opened and closed with the source, a stream stays the caller's and has to stay open meanwhile. Raises
    `PhotoError` as `Photo` does, and `OSError` where a path cannot be opened.
    """
    if not isinstance(file, str | os.PathLike):
        return Still(Photo(file, max_pixels=max_pixels))
    stream = open(file, "rb")  # noqa: SIM115 - the source closes it
    try:
        return Still(Photo(stream, max_pixels=max_pixels), stream)
    except BaseException:
        stream.close()
        raise
