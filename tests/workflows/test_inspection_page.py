"""The page of an inspection."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UsageError
from pipeline.workflows.data_inspection import inspect
from pipeline.workflows.inspection_page import write_page


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten noisy images of each of two classes, one of them twice, and a damaged one."""
    generator = np.random.default_rng(0)
    for name in ("<em>ants", "bees"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(10):
            pixels = generator.integers(0, 255, (9, 12, 3), np.uint8)
            image = Image.fromarray(pixels).resize((120, 90))
            image.save(tmp_path / "images" / name / f"{number}.png")
    copy = (tmp_path / "images" / "bees" / "0.png").read_bytes()
    (tmp_path / "images" / "bees" / "copy.png").write_bytes(copy)
    (tmp_path / "images" / "bees" / "damaged.png").write_bytes(copy[:99])
    return tmp_path / "images"


def page_of(path: Path, **overrides: str) -> str:
    output = path.parent / "page.html"
    write_page(inspect(path, overrides), output)
    return output.read_text("utf-8")


def test_the_page_shows_images_duplicates_damage_and_augmentation(folder: Path) -> None:
    html = page_of(folder)
    samples, augmented = html.partition('id="augmented"')[::2]
    assert samples.count("<figure>") == 8
    augmented, _, rest = augmented.partition('id="files"')
    assert augmented.count("<figure>") == 8 * 5
    assert "Chosen by `pipeline init`: {random_flip: {mode: horizontal}}." in augmented
    assert rest.count("<figure>") == 2
    assert "Same file: 2 images" in rest
    assert "bees/damaged.png" in rest


def test_augmented_images_differ_from_the_first_one(folder: Path) -> None:
    html = page_of(folder)
    images = re.findall(r'src="(data:[^"]+)"', html.partition('id="augmented"')[2])
    counts = [len(set(images[start : start + 5])) for start in range(0, 40, 5)]
    assert sum(counts) > 8
    assert max(counts) == 2  # mirrored, or not


def test_names_are_escaped_and_nothing_is_loaded(folder: Path) -> None:
    html = page_of(folder)
    assert "&lt;em&gt;ants" in html
    assert "<em>" not in html
    assert set(re.findall(r'(?:src|href)="([^:"]*)', html)) <= {"data"} | {
        f"#{name}"
        for name in ("findings", "classes", "examples", "augmented", "files", "duplicates")
    }


def test_a_directory_that_is_no_data_set_has_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.png")
    html = page_of(tmp_path / "images")
    assert "expected subdirectories for two or more classes" in html
    assert html.count("<figure>") == 1
    assert 'id="augmented"' not in html


def test_an_empty_directory_has_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert "There are no images." in page_of(tmp_path / "images")


def test_the_augmentation_of_a_recipe_is_shown(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "data: {source: digits, augmentation: [{random_zoom: {}}]}\nmodel: {architecture: mlp}\n"
    )
    html = page_of(recipe)
    assert "Chosen by the recipe: {random_zoom: " in html
    assert html.partition('id="augmented"')[2].count("<figure>") == 8 * 5


def test_a_page_that_cannot_be_written_is_an_error(folder: Path) -> None:
    output = folder / "none" / "page.html"
    with pytest.raises(UsageError, match=f"^{output} cannot be written: No such file"):
        write_page(inspect(folder), output)
