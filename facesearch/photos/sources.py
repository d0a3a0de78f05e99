"""Open files as sources of images: one image, or several moments, each an image with its time.

So far there are only still photos. A file with several moments (a video, an animation) would be another class with the
interface of `Source`, chosen in `open_source` by the first bytes of the file.
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
    """One image of a source; `at_ms` is its time in a video in milliseconds, None for a still photo."""

    picture: Photo
    at_ms: int | None = None


class Source(Protocol):
    """A file that provides its images while it is open."""

    @property
    def facts(self) -> PhotoFacts:
        """Its size in pixels and its metadata."""
        ...

    @property
    def cover(self) -> Photo:
        """The image that represents the source: for a still photo, the photo itself."""
        ...

    def moments(self) -> Iterator[Moment]:
        """Yield its images in the order of their times, each made on demand. Raises `PhotoError` if one is damaged."""
        ...

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file that `open_source` opened."""
        ...


class Still:
    """A photo: one moment without a time. `owned` is a stream to close with it."""

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

    A path is opened and closed with the source. A stream belongs to the caller and must stay open meanwhile. Raises
    `PhotoError` as `Photo` does, and `OSError` if a path cannot be opened.
    """
    if not isinstance(file, str | os.PathLike):
        return Still(Photo(file, max_pixels=max_pixels))
    stream = open(file, "rb")  # noqa: SIM115 - the source closes it
    try:
        return Still(Photo(stream, max_pixels=max_pixels), stream)
    except BaseException:
        stream.close()
        raise
