"""Recipes written on the spot, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.errors import RecipeError
from pipeline.recipe.loader import LoadedRecipe, load_recipe


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., LoadedRecipe]:
    """Load a recipe from its text, as `recipe.yaml` in an empty folder."""

    def load_text(
        text: str | bytes, *overrides: str, environment: Mapping[str, str] | None = None
    ) -> LoadedRecipe:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_recipe(path, overrides, environment=environment or {})

    return load_text


@pytest.fixture
def problems(loaded: Callable[..., LoadedRecipe], tmp_path: Path) -> Callable[..., list[str]]:
    """Load a recipe that cannot be loaded; return its problems without the folder's name."""

    def problems_of(
        text: str | bytes, *overrides: str, environment: Mapping[str, str] | None = None
    ) -> list[str]:
        with pytest.raises(RecipeError) as refused:
            loaded(text, *overrides, environment=environment)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in refused.value.problems]

    return problems_of
