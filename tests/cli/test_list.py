from __future__ import annotations

import pytest

from pipeline.cli import main
from pipeline.recipe.shipped import description_of, shipped_recipes


def test_every_shipped_recipe_is_listed_with_its_description(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [tuple(line.split(maxsplit=1)) for line in lines] == [
        (name, description_of(path)) for name, path in shipped_recipes().items()
    ]


def test_descriptions_stand_in_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    lines = capsys.readouterr().out.splitlines()
    starts = {
        line.index(description_of(path))
        for line, path in zip(lines, shipped_recipes().values(), strict=True)
    }
    assert len(starts) == 1
