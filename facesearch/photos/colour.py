"""Convert any image mode to 8-bit RGB, band by band, as an image viewer shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facesearch.photos.cost import BAND

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["to_rgb"]


def to_rgb(image: Image, factor: int) -> Image:
    """Convert an image of any mode to 8-bit RGB, with transparency on white, and shrink each side by `factor`.

    Works band by band to keep the intermediate images small.
    """
    from PIL.Image import new

    if image.mode == "RGB" and factor == 1:
        return image
    top = _brightest(image)
    width, height = image.size
    result = new("RGB", (-(-width // factor), -(-height // factor)))
    rows = max(1, BAND // max(1, width * factor)) * factor
    for start in range(0, height, rows):
        band = _converted(image.crop((0, start, width, min(height, start + rows))), top)
        result.paste(band.reduce(factor) if factor > 1 else band, (0, start // factor))
    return result


def _converted(image: Image, top: float) -> Image:
    from PIL.Image import new

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _eight_bits(image, top).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = new("RGBA", layered.size, (255, 255, 255, 255))
        white.alpha_composite(layered)
        return white.convert("RGB")
    return image.convert("RGB")


def _brightest(image: Image) -> float:
    """Return the highest value of a greyscale image of more than 8 bits; 0 for other modes, which do not need it."""
    import numpy as np

    if not image.mode.startswith("I;16") and image.mode not in ("I", "F"):
        return 0.0
    rows = max(1, BAND // max(1, image.width))
    bands = (
        image.crop((0, start, image.width, min(image.height, start + rows))) for start in range(0, image.height, rows)
    )
    return max(float(np.nan_to_num(np.asarray(band)).max(initial=0)) for band in bands)


def _eight_bits(image: Image, top: float) -> Image:
    """Scale 16-bit, 32-bit or float greyscale to 8 bits; `convert` would clip everything above 255 to white."""
    import numpy as np
    from PIL.Image import fromarray

    values = np.asarray(image).astype(np.float32)
    full_scale = 1.0 if top <= 1.0 and image.mode == "F" else 255.0 if top <= 255.0 else max(65535.0, top)
    scaled = np.clip(np.nan_to_num(values) * (255.0 / full_scale), 0, 255).astype(np.uint8)
    return fromarray(scaled)
