from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.config import key_names
from pipeline.data.sources import SOURCES
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe import shipped
from pipeline.recipe.grammar import SCHEMA_FILE, Recipe, json_schema


def objects_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from objects_in(inner)


def test_the_shipped_schema_is_up_to_date() -> None:
    text = (shipped.recipes_directory() / SCHEMA_FILE).read_text(encoding="utf-8")
    assert text == json.dumps(json_schema(), indent=1) + "\n"


def test_the_schema_has_the_sections_of_a_recipe() -> None:
    schema = json_schema()
    assert list(schema["properties"]) == key_names(Recipe)
    assert schema["required"] == ["data", "model"]


def test_the_schema_rejects_unknown_keys_everywhere() -> None:
    sections = [section for section in objects_in(json_schema()) if "properties" in section]
    assert len(sections) > 40
    open_sections = [node for node in sections if node.get("additionalProperties") is not False]
    assert open_sections == []


@pytest.mark.parametrize(
    ("section", "key", "names"),
    [("data", "source", set(SOURCES)), ("model", "architecture", set(ARCHITECTURES))],
)
def test_the_schema_has_every_alternative(section: str, key: str, names: set[str]) -> None:
    schema = json_schema()
    choices = [
        schema["$defs"][choice["$ref"].rpartition("/")[2]]
        for choice in schema["properties"][section]["anyOf"]
    ]
    assert {choice["properties"][key]["const"] for choice in choices} == names


def test_the_schema_has_the_aliases_of_keys() -> None:
    fine_tune = json_schema()["$defs"]["FineTuneConfig"]
    assert list(fine_tune["properties"]) == [
        "from",
        "epochs",
        "learning_rate",
        "schedule",
        "optimizer",
        "layer_decay",
        "train_batch_norm",
    ]
