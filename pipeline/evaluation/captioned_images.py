"""Images with captions: embedded in a page, under a heatmap, and side by side in one PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MAX_SIDE = 256  # pixels
_MAX_PIXELATED = 64  # images up to this side are enlarged without smoothing
_TILE, _LINE, _GAP, _COLUMNS = 168, 15, 12, 6
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
_HEATMAP_OPACITY = 0.6


@dataclass(frozen=True)
class CaptionedImage:
    """An image with its caption.

    Attributes:
        image: uint8 (height, width, 1 or 3).
        name: of the file, or a number.
        caption: lines separated by " · ".
        heatmap: (height, width) of 0..1; None where there is none.
    """

    image: np.ndarray
    name: str
    caption: str
    heatmap: np.ndarray | None = None


def data_uri(image: np.ndarray) -> str:
    """Return an image as a data URI: small images as lossless PNG, larger ones as JPEG."""
    picture = _to_pil(image)
    file = io.BytesIO()
    file_format = "png" if max(picture.size) <= _MAX_PIXELATED else "jpeg"
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    picture.save(file, file_format, quality=82)
    return encode_data_uri(file.getvalue(), file_format)


def encode_data_uri(data: bytes, file_format: str) -> str:
    """Return the bytes of an image file, such as `png`, as a data URI."""
    return f"data:image/{file_format};base64,{base64.b64encode(data).decode()}"


def heatmap_overlay(captioned: CaptionedImage) -> np.ndarray | None:
    """Return the image under its heatmap, uint8 (height, width, 3), or None without a heatmap."""
    if captioned.heatmap is None:
        return None
    heatmap = captioned.heatmap[..., np.newaxis]
    colors = matplotlib.colormaps["turbo"](captioned.heatmap)[..., :3] * 255
    opacity = _HEATMAP_OPACITY * heatmap
    return (captioned.image * (1 - opacity) + colors * opacity).round().astype(np.uint8)


def image_grid(images: Sequence[CaptionedImage]) -> bytes:
    """Return a PNG of images with their names and captions, six in a row."""
    font = _font()
    tiles = [_tile(captioned, font) for captioned in images]
    columns = min(_COLUMNS, max(len(tiles), 1))
    rows = -(-len(tiles) // columns)
    height = max((tile.height for tile in tiles), default=_TILE) + _GAP
    grid = Image.new("RGB", (columns * (_TILE + _GAP) + _GAP, rows * height + _GAP), "white")
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        grid.paste(tile, (_GAP + column * (_TILE + _GAP), _GAP + row * height))
    file = io.BytesIO()
    grid.save(file, "png", compress_level=1)
    return file.getvalue()


def printable(text: str) -> str:
    """Replace control characters and unpaired surrogates, which fonts and files do not take."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else _UNPRINTABLE for character in text)


def keep_end(text: str, max_characters: int) -> str:
    """Return printable text, without its start where it is too long."""
    text = printable(text)
    return text if len(text) <= max_characters else f"…{text[1 - max_characters :]}"


def _tile(captioned: CaptionedImage, font: ImageFont.FreeTypeFont) -> Image.Image:
    images = [image for image in (captioned.image, heatmap_overlay(captioned)) if image is not None]
    scaled = [_scaled(_to_pil(image).convert("RGB")) for image in images]
    lines = [printable(captioned.name), *printable(captioned.caption).split(" · ")]
    height = sum(image.height + 2 for image in scaled)
    tile = Image.new("RGB", (_TILE, height + _LINE * len(lines) + 2), "white")
    y = 0
    for image in scaled:
        tile.paste(image, (0, y))
        y += image.height + 2
    draw = ImageDraw.Draw(tile)
    for line in lines:
        draw.text((0, y), _fit_to_tile(line, font), fill="black", font=font)
        y += _LINE
    return tile


def _fit_to_tile(line: str, font: ImageFont.FreeTypeFont) -> str:
    """Return the end of a line, as much as fits into the width of a tile."""
    length = len(line)
    while font.getlength(shown := keep_end(line, length)) > _TILE:
        length -= 1
    return shown


def _scaled(image: Image.Image) -> Image.Image:
    scale = _TILE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    is_small = max(image.size) <= _MAX_PIXELATED
    return image.resize(size, Image.Resampling.NEAREST if is_small else Image.Resampling.BILINEAR)


def _to_pil(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _font() -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, 12)
