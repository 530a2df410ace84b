from __future__ import annotations

import json

import pytest

from pipeline.cli import main
from pipeline.recipe.grammar import SCHEMA_FILE, json_schema
from pipeline.recipe.reference import reference
from pipeline.recipe.shipped import recipes_directory


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_the_shipped_schema_is_the_output_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["schema"])
    shipped = (recipes_directory() / SCHEMA_FILE).read_text(encoding="utf-8")
    assert capsys.readouterr().out == shipped


def test_the_reference_is_printed_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == reference()
