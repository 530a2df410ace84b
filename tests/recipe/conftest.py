"""Fixtures that load recipes from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.errors import RecipeError
from pipeline.recipe.loader import LoadedRecipe, load_recipe


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., LoadedRecipe]:
    """Return a function that loads a recipe from its text, as `recipe.yaml`."""

    def load_text(
        text: str | bytes, *overrides: str, environment: Mapping[str, str] | None = None
    ) -> LoadedRecipe:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_recipe(path, overrides, environment=environment or {})

    return load_text


@pytest.fixture
def problems(loaded: Callable[..., LoadedRecipe], tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that loads an invalid recipe and returns its errors."""

    def problems_of(
        text: str | bytes, *overrides: str, environment: Mapping[str, str] | None = None
    ) -> list[str]:
        with pytest.raises(RecipeError) as caught:
            loaded(text, *overrides, environment=environment)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return problems_of
