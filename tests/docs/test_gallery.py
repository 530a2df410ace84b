"""The gallery shows the pictures that its script draws, and no others."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from pipeline.recipe.shipped import shipped_recipes

DOCS = Path(__file__).parents[2] / "docs"


def drawn() -> dict[str, list[str]]:
    """Return the names of the pictures of each recipe."""
    spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        name: [f"{Path(name).name}_{figure}.png" for figure in figures]
        for name, figures in module.FIGURES.items()
    }


def test_every_picture_is_of_a_shipped_recipe_and_on_the_page() -> None:
    pictures = drawn()
    assert set(pictures) <= set(shipped_recipes())
    names = [name for of_recipe in pictures.values() for name in of_recipe]
    page = (DOCS / "gallery.md").read_text("utf-8")
    assert sorted(re.findall(r"\(gallery/(\w+\.png)\)", page)) == sorted(names)
    assert sorted(path.name for path in (DOCS / "gallery").iterdir()) == sorted(names)
    for recipe in pictures:
        assert f"`recipes/{recipe}.yaml`" in page
