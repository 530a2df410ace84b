from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RecipeError, UsageError
from pipeline.recipe.loader import dump_recipe, load_recipe, run_parameters
from pipeline.recipe.shipped import shipped_recipes

Loaded = Callable[..., Any]  # tests know the classes of the sections
Problems = Callable[..., list[str]]

SMALLEST = "data: {source: digits}\nmodel: {architecture: mlp}\n"
MUCH = """
name: much
description: "with: ${USER}, 'quotes' and é漢"
data:
  source: digits
  image_size: [64, 48]
  batch_size: all
  augmentation:
    - random_flip: {mode: vertical}
    - random_rotation: {factor: [-0.1, 0.2]}
    - random_zoom: {}
    - random_crop: {height: 60, width: 40}
    - random_erasing: {scale: [0.1, 0.2], fill_value: 0.5}
model: {architecture: transfer, base: VGG16, weights: null, hidden: [64, 32]}
regularization: {dropout: 0.25, l2: 1e-7, batch_norm: true}
optimizer:
  name: sgd
  learning_rate: 3e-4
  clipnorm: 1
  schedule: {piecewise: {boundaries: [1, 2.5], factors: [0.1, 0.01], warmup: 0.5}}
training:
  epochs: 7
  top_k: 3
  early_stopping: {monitor: val_accuracy, patience: null}
  fine_tune: {from: block5, epochs: 2, learning_rate: 1e-6}
tracking: {experiment: "3e-4", uri: "http://host:5000"}
runtime: {devices: [cpu:0, cpu:1], precision: float32}
"""


def dumped_again(loaded: Loaded, text: str) -> Any:
    return loaded(dump_recipe(loaded(text, environment={"USER": "me"}).recipe, {}))


SECRETS = {"ZOO_TOKEN": "hunter2", "ZOO_SERVER": "https://me:pass@zoo", "ZOO": "plain"}


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("seed: ${ZOO_TOKEN}", "expected an integer from 0 to 2147483647. Received"),
        ("${X}: {a: '${ZOO_TOKEN}'}", "unknown key. Expected one of: name,"),
        ("training: {loss: 'is ${ZOO_TOKEN}'}", "expected one of:"),
        ("optimizer: {name: '${ZOO_TOKEN}'}", "expected one of:"),
        ("runtime: '${ZOO_SERVER}'", "expected a section with keys and values. Received"),
        ("description: '${ZOO_TOKEN} ${'", "Expected ${NAME} or ${NAME:-default}"),
    ],
)
def test_no_error_message_contains_a_secret(loaded: Loaded, addition: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        loaded(f"{SMALLEST}\n{addition}\n", environment=SECRETS)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "me:pass" not in str(caught.value)


def test_a_received_secret_is_shown_as_its_variable(loaded: Loaded) -> None:
    with pytest.raises(RecipeError) as caught:
        loaded(f"{SMALLEST}\nseed: '${{ZOO_TOKEN}}'\n", environment=SECRETS)
    assert str(caught.value).endswith("Received '${ZOO_TOKEN}'.")


def test_a_secret_in_an_argument_is_masked_too(loaded: Loaded) -> None:
    recipe = loaded(SMALLEST, "description=${ZOO_TOKEN} ${ZOO}", environment=SECRETS)
    assert recipe.recipe.description == "hunter2 plain"
    assert recipe.secrets == {"hunter2": "${ZOO_TOKEN}"}
    assert run_parameters(recipe.recipe, recipe.secrets)["description"] == "${ZOO_TOKEN} plain"


def test_missing_keys_have_defaults(loaded: Loaded) -> None:
    recipe = loaded(SMALLEST).recipe
    assert recipe.seed == 42
    assert recipe.description == ""
    assert recipe.data.image_size == (8, 8)
    assert recipe.data.batch_size == 32
    assert recipe.data.augmentation == ()
    assert recipe.model.hidden == (128,)
    assert recipe.regularization.dropout == 0.0
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate) == ("adam", 1e-3)
    assert recipe.training.epochs == 10
    assert recipe.training.early_stopping is None
    assert recipe.training.fine_tune is None
    assert recipe.tracking.uri is None
    assert (recipe.runtime.devices, recipe.runtime.precision) == ("auto", "auto")


def test_an_optimizer_without_a_name_is_adam(loaded: Loaded) -> None:
    optimizer = loaded(SMALLEST + "optimizer: {beta_1: 0.8}\n").recipe.optimizer
    assert (optimizer.name, optimizer.beta_1) == ("adam", 0.8)


def test_the_default_name_is_the_file_name(loaded: Loaded) -> None:
    assert loaded(SMALLEST).recipe.name == "recipe"
    assert loaded(SMALLEST + "name: digits\n").recipe.name == "digits"


def test_an_integer_is_accepted_for_a_float(loaded: Loaded) -> None:
    recipe = loaded(SMALLEST + "optimizer: {learning_rate: 1}\n").recipe
    assert recipe.optimizer.learning_rate == 1.0


def test_a_loaded_recipe_has_the_text_and_the_arguments(loaded: Loaded) -> None:
    recipe = loaded(f"# mine\n{SMALLEST}", "seed=7", "name=x")
    assert recipe.text == f"# mine\n{SMALLEST}"
    assert recipe.overrides == ("seed=7", "name=x")


def test_a_byte_order_mark_is_ignored(loaded: Loaded) -> None:
    assert loaded(b"\xef\xbb\xbf" + SMALLEST.encode()).text == SMALLEST


def test_the_default_environment_is_that_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_TEST_SEED", "7")
    path = tmp_path / "recipe.yaml"
    path.write_text(SMALLEST + "seed: ${PIPELINE_TEST_SEED}\n")
    assert load_recipe(path).recipe.seed == 7


def test_an_unquoted_variable_can_be_a_number_and_a_quoted_one_is_a_string(
    loaded: Loaded, problems: Problems
) -> None:
    recipe = loaded(SMALLEST + "training:\n  epochs: ${EPOCHS:-5}\n").recipe
    assert recipe.training.epochs == 5
    assert problems(SMALLEST + "training:\n  epochs: '${EPOCHS:-5}'\n") == [
        "recipe.yaml:4:3: training.epochs: expected an integer, 1 or more. Received '5'."
    ]


def test_a_path_is_relative_to_the_recipe_or_to_home(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("home/images", "images", "elsewhere"):
        for name in ("ants", "bees"):
            (tmp_path / folder / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")

    def path_of(text: str) -> Path:
        data = f"data: {{source: image_folder, path: {text}}}\nmodel: {{architecture: mlp}}\n"
        return loaded(data).recipe.data.path

    assert path_of("images") == tmp_path / "images"
    assert path_of("~/images") == tmp_path / "home" / "images"
    assert path_of(str(tmp_path / "images")) == tmp_path / "images"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "absent.yaml",
            "the file does not exist. `pipeline list` lists the recipes that come with the "
            "package, and `pipeline copy NAME` copies one.",
        ),
        (
            ".",
            "expected the file of a recipe. Received a directory. `pipeline init FOLDER` writes a "
            "recipe for a directory of images.",
        ),
        ("a\0b", "the file cannot be read: embedded null byte."),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(
    in_empty_folder: Path, name: str, reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(Path(name))
    assert str(caught.value) == f"{name}: {reason}"


def test_a_recipe_is_frozen(loaded: Loaded) -> None:
    recipe = loaded(SMALLEST).recipe
    for section, key in ((recipe, "seed"), (recipe.training, "epochs"), (recipe.data, "source")):
        with pytest.raises(ValueError, match="Instance is frozen"):
            setattr(section, key, 3)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_survives_dumping_and_loading(name: str, loaded: Loaded) -> None:
    recipe = load_recipe(shipped_recipes()[name], environment={}).recipe
    assert loaded(dump_recipe(recipe, {})).recipe == recipe


def test_a_long_recipe_survives_dumping_and_loading(loaded: Loaded) -> None:
    recipe = loaded(MUCH, environment={"USER": "me"}).recipe
    again = dumped_again(loaded, MUCH).recipe
    assert again == recipe
    assert again.description == "with: me, 'quotes' and é漢"
    assert again.training.early_stopping.patience is None
    assert again.training.fine_tune.start == "block5"
    assert again.model.weights is None


@pytest.mark.parametrize(
    "text",
    ["3e-4", "0o17", "true", "null", "", "2024-01-31", "010", "9" * 1001, "a: b", "- x", "é\n漢"],
)
def test_a_string_survives_dumping_and_loading(loaded: Loaded, text: str) -> None:
    recipe = loaded(SMALLEST).recipe.model_copy(update={"description": text})
    assert loaded(dump_recipe(recipe, {})).recipe.description == text


@pytest.mark.parametrize("text", ["$${HOME}", "$$${HOME}", "a ${X:-$}"])
def test_what_looks_like_a_variable_is_dumped_as_a_string(loaded: Loaded, text: str) -> None:
    written = SMALLEST + f"description: {text}\n"
    assert dumped_again(loaded, written).recipe.description == loaded(written).recipe.description


def test_a_base_from_a_file_survives_dumping_and_loading(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "base.keras").touch()
    text = "data: {source: digits}\nmodel: {architecture: transfer, base: base.keras}\n"
    assert dumped_again(loaded, text).recipe == loaded(text).recipe


def test_parameters_are_dotted_paths_with_strings(loaded: Loaded) -> None:
    flat = run_parameters(loaded(MUCH, environment={"USER": "me"}).recipe, {})
    assert {
        key: flat[key]
        for key in (
            "name",
            "seed",
            "data.image_size",
            "data.augmentation.0.random_flip.mode",
            "data.augmentation.1.random_rotation.factor",
            "model.weights",
            "regularization.l2",
            "regularization.batch_norm",
            "optimizer.schedule.piecewise.boundaries",
            "training.fine_tune.from",
            "runtime.devices",
        )
    } == {
        "name": "much",
        "seed": "42",
        "data.image_size": "[64, 48]",
        "data.augmentation.0.random_flip.mode": "vertical",
        "data.augmentation.1.random_rotation.factor": "[-0.1, 0.2]",
        "model.weights": "null",
        "regularization.l2": "1e-07",
        "regularization.batch_norm": "true",
        "optimizer.schedule.piecewise.boundaries": "[1.0, 2.5]",
        "training.fine_tune.from": "block5",
        "runtime.devices": '["cpu:0", "cpu:1"]',
    }


def test_a_missing_section_and_an_empty_list_are_one_parameter(loaded: Loaded) -> None:
    flat = run_parameters(loaded(SMALLEST).recipe, {})
    assert flat["training.fine_tune"] == "null"
    assert flat["data.augmentation"] == "[]"
