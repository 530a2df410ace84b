from __future__ import annotations

import json

import pytest

from pipeline.cli import main
from pipeline.recipe.grammar import SCHEMA_FILE, json_schema
from pipeline.recipe.shipped import recipes_directory


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_the_schema_that_is_shipped_is_what_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["schema"])
    shipped = (recipes_directory() / SCHEMA_FILE).read_text(encoding="utf-8")
    assert capsys.readouterr().out == shipped
