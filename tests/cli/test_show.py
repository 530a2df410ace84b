from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.recipe.loader import dump_recipe, load_recipe

TEXT = "data: {source: digits}\nmodel: {architecture: mlp}\n"


@pytest.fixture
def recipe(in_empty_folder: Path) -> str:
    Path("recipe.yaml").write_text(TEXT)
    return "recipe.yaml"


def test_a_recipe_is_shown_with_all_defaults(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", recipe]) == 0
    output = capsys.readouterr().out
    assert output == dump_recipe(load_recipe(Path(recipe)).recipe, {})
    assert "seed: 42\n" in output


def test_a_secret_is_shown_as_its_variable_and_read_from_it_again(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ZOO_PASSWORD", "00042")
    monkeypatch.setenv("ZOO_SERVER", "https://me:hunter2@zoo")
    Path("recipe.yaml").write_text(
        f"{TEXT}description: '${{ZOO_PASSWORD}}'\ntracking: {{uri: '${{ZOO_SERVER}}'}}\n"
    )
    assert main(["show", "recipe.yaml"]) == 0
    output = capsys.readouterr().out
    assert "description: '${ZOO_PASSWORD}'\n" in output
    assert "uri: '${ZOO_SERVER}'\n" in output
    assert "00042" not in output
    assert "hunter2" not in output
    Path("shown.yaml").write_text(output)
    assert load_recipe(Path("shown.yaml")).recipe == load_recipe(
        Path("recipe.yaml")
    ).recipe.model_copy(update={"name": "recipe"})
    assert main(["show", "recipe.yaml", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["description"] == "${ZOO_PASSWORD}"
    assert shown["tracking"]["uri"] == "${ZOO_SERVER}"


def test_a_password_in_the_recipe_itself_is_not_shown(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", recipe, "--set", "tracking.uri=https://me:hunter2@zoo"]) == 0
    assert "uri: https://me:***@zoo\n" in capsys.readouterr().out


def test_the_output_is_a_recipe(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", recipe, "--set", "seed=7"])
    Path("shown.yaml").write_text(capsys.readouterr().out)
    expected = load_recipe(Path(recipe), ("seed=7",)).recipe
    assert load_recipe(Path("shown.yaml")).recipe == expected
    assert expected.seed == 7


def test_a_recipe_is_shown_as_json(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--set", "training.fine_tune=", "--set", "seed=7"]
    assert main(["show", recipe, "--json", *arguments]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    shown = json.loads(line)
    assert shown["seed"] == 7
    assert shown == load_recipe(Path(recipe), ("seed=7",)).recipe.model_dump(
        mode="json", by_alias=True
    )


def test_json_has_the_aliases_of_keys(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("recipe.yaml").write_text(
        "data: {source: digits, image_size: [32, 32]}\n"
        "model: {architecture: transfer, base: VGG16}\n"
        "training: {fine_tune: {from: 3}}\n"
    )
    main(["show", "recipe.yaml", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["training"]["fine_tune"]["from"] == 3


def test_a_wrong_recipe_is_not_shown(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", recipe, "--set", "seed=x"]) == 2
    assert capsys.readouterr() == (
        "",
        "--set seed=x: seed: expected an integer from 0 to 2147483647. Received 'x'.\n",
    )


def test_a_warning_goes_to_standard_error(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    argument = "data.augmentation=[random_flip: {}]"
    assert main(["show", recipe, "--set", argument]) == 0
    assert capsys.readouterr().err == (
        f"WARNING: --set {argument}: data.augmentation.0.random_flip: "
        "a flip can change the class of these images, as it does for digits.\n"
    )
