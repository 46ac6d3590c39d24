"""Pictures of pages for documents: of one width, not too high, and small."""

from pathlib import Path
from typing import Final

from PIL import Image

from synapse_bum.testing.browser import RealBrowser

_MAX_HEIGHT: Final = 1_600
_COLOURS: Final = 64
"""Enough for pages without photographs; a picture is a fifth as large then."""


def take(window: RealBrowser, path: Path) -> None:
    """Takes a picture of the page, of its upper part where it is long.

    Args:
        window: with the page.
        path: of the PNG file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    window.screenshot(path)
    with Image.open(path) as picture:
        upper = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, _MAX_HEIGHT)))
    upper.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
