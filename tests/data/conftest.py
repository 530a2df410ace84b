"""Small directories of real photographs."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Plant = Callable[[Path, Mapping[str, int]], Path]
Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Return a function that encodes an image in one of Pillow's formats, or as HEIC."""

    def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
        file = io.BytesIO()
        if file_format == "HEIC":
            pytest.importorskip("pillow_heif").from_pillow(image).save(file, **options)
        else:
            image.save(file, file_format, **options)
        return file.getvalue()

    return encoded


@pytest.fixture(scope="session")
def photo(photographs: Path) -> Image.Image:
    """A photograph of an ant, 96 wide and 64 high."""
    with Image.open(photographs / "train" / "ants" / "0013035.jpg") as image:
        return image.convert("RGB").resize((96, 64), Image.Resampling.BILINEAR)


@pytest.fixture(scope="session")
def small_photographs(photographs: Path) -> dict[str, list[tuple[str, bytes]]]:
    """Name and bytes of 24 photographs of each class, at most 40 pixels wide and high."""

    def small(path: Path) -> bytes:
        with Image.open(path) as image:
            image.thumbnail((40, 40))
            file = io.BytesIO()
            image.save(file, "JPEG", quality=90)
        return file.getvalue()

    return {
        name: [
            (path.name, small(path))
            for path in sorted((photographs / "train" / name).glob("*.jpg"))[:24]
        ]
        for name in ("ants", "bees")
    }


@pytest.fixture(scope="session")
def plant(small_photographs: dict[str, list[tuple[str, bytes]]]) -> Plant:
    """Return a function that writes a number of photographs to each directory below a root.

    The last part of a folder's name is the class; a class that is no insect gets photographs of
    ants. Folders of one class get different photographs as long as there are any.
    """

    def write(root: Path, counts: Mapping[str, int]) -> Path:
        used: dict[str, int] = {}
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            name = Path(folder).name
            photographs = small_photographs.get(name, small_photographs["ants"])
            for _ in range(count):
                number = used.get(name, 0)
                used[name] = number + 1
                file, data = photographs[number]
                (root / folder / file).write_bytes(data)
        return root

    return write
