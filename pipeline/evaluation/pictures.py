"""Photographs in a report: as they are, under a heat map, and on a sheet of several."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MOST_PIXELS = 256  # of the longer side
_PIXELATED = 64  # images up to this side are shown with their pixels to be seen
_TILE, _LINE, _GAP, _COLUMNS = 168, 15, 12, 6
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
_HEAT = 0.6  # opacity of the hottest place


@dataclass(frozen=True)
class CaptionedImage:
    """An image with what is to be said about it.

    Attributes:
        image: uint8 (height, width, 1 or 3).
        name: the file's name, or a number.
        caption: what is said.
        heat: where the model looked, (height, width) of 0..1; None where that is not known.
    """

    image: np.ndarray
    name: str
    caption: str
    heat: np.ndarray | None = None


def data_uri(image: np.ndarray) -> str:
    """Return an image as the address of an <img>: small ones exact, larger ones as a JPEG."""
    picture = _opened(image)
    file = io.BytesIO()
    kind = "png" if max(picture.size) <= _PIXELATED else "jpeg"
    picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    picture.save(file, kind, quality=82)
    return _address(file.getvalue(), kind)


def png_uri(png: bytes) -> str:
    """Return a PNG file as the address of an <img>."""
    return _address(png, "png")


def under_heat(picture: CaptionedImage) -> np.ndarray | None:
    """Return the image under its heat map, uint8 (height, width, 3), None where there is none."""
    if picture.heat is None:
        return None

    heat = picture.heat[..., np.newaxis]
    colors = matplotlib.colormaps["turbo"](picture.heat)[..., :3] * 255
    mixed = picture.image * (1 - _HEAT * heat) + colors * _HEAT * heat
    return mixed.round().astype(np.uint8)


def sheet(pictures: Sequence[CaptionedImage]) -> bytes:
    """Return a PNG of pictures side by side with their names and captions, six in a row."""
    font = _font()
    tiles = [_tile(picture, font) for picture in pictures]
    columns = min(_COLUMNS, max(len(tiles), 1))
    rows = -(-len(tiles) // columns)
    height = max((tile.height for tile in tiles), default=_TILE) + _GAP
    ground = Image.new("RGB", (columns * (_TILE + _GAP) + _GAP, rows * height + _GAP), "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        ground.paste(tile, (_GAP + column * (_TILE + _GAP), _GAP + row * height))
    file = io.BytesIO()
    ground.save(file, "png", compress_level=1)
    return file.getvalue()


def printable(text: str) -> str:
    """Return text that any font and file takes: without control characters and half characters."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else _UNPRINTABLE for letter in text)


def shortened(text: str, most: int) -> str:
    """Return the end of a printable text that is longer than `most` characters."""
    text = printable(text)
    return text if len(text) <= most else f"…{text[1 - most :]}"


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _tile(picture: CaptionedImage, font: ImageFont.FreeTypeFont) -> Image.Image:
    images = [image for image in (picture.image, under_heat(picture)) if image is not None]
    scaled = [_scaled(_opened(image).convert("RGB")) for image in images]
    lines = [printable(picture.name), *printable(picture.caption).split(" · ")]
    height = sum(image.height + 2 for image in scaled)
    tile = Image.new("RGB", (_TILE, height + _LINE * len(lines) + 2), "white")
    y = 0
    for image in scaled:
        tile.paste(image, (0, y))
        y += image.height + 2
    draw = ImageDraw.Draw(tile)
    for line in lines:
        draw.text((0, y), _fitting(line, font), fill="black", font=font)
        y += _LINE
    return tile


def _fitting(line: str, font: ImageFont.FreeTypeFont) -> str:
    """Return the end of a line that is wider than a tile."""
    most = len(line)
    while font.getlength(shown := shortened(line, most)) > _TILE:
        most -= 1
    return shown


def _scaled(image: Image.Image) -> Image.Image:
    scale = _TILE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    is_small = max(image.size) <= _PIXELATED
    return image.resize(size, Image.Resampling.NEAREST if is_small else Image.Resampling.BILINEAR)


def _opened(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _font() -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, 12)
