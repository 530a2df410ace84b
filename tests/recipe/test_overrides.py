from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.recipe.loader import dump_recipe
from pipeline.recipe.overrides import apply_overrides, override_arguments, parse_overrides
from pipeline.recipe.yaml_reader import Document, Location

Loaded = Callable[..., Any]  # tests know the classes of the sections
Problems = Callable[..., list[str]]

BASE = "data: {source: digits}\nmodel: {architecture: mlp, hidden: [64, 32]}\n"


def test_a_nested_value_is_replaced(loaded: Loaded) -> None:
    recipe = loaded(BASE + "optimizer: {learning_rate: 1}\n", "optimizer.learning_rate=3e-4").recipe
    assert recipe.optimizer.learning_rate == 3e-4


def test_a_missing_section_is_added(loaded: Loaded) -> None:
    recipe = loaded(BASE, "training.early_stopping.patience=2").recipe
    assert recipe.training.early_stopping.patience == 2


def test_an_empty_section_is_filled(loaded: Loaded) -> None:
    assert loaded(BASE + "training:\n", "training.epochs=2").recipe.training.epochs == 2


def test_an_element_of_a_list_is_replaced(loaded: Loaded) -> None:
    assert loaded(BASE, "model.hidden.1=16").recipe.model.hidden == (64, 16)


def test_a_value_can_be_a_section(loaded: Loaded) -> None:
    recipe = loaded(BASE, "optimizer={name: sgd, momentum: 0.9}").recipe
    assert (recipe.optimizer.name, recipe.optimizer.momentum) == ("sgd", 0.9)


def test_a_value_can_hold_an_equals_sign(loaded: Loaded) -> None:
    assert loaded(BASE, "tracking.uri=http://host/?a=b").recipe.tracking.uri == "http://host/?a=b"


def test_a_value_can_hold_a_variable(loaded: Loaded) -> None:
    assert loaded(BASE, "seed=${SEED}", environment={"SEED": "7"}).recipe.seed == 7


def test_a_later_argument_wins(loaded: Loaded) -> None:
    assert loaded(BASE, "seed=5", "seed=6", "seed=7").recipe.seed == 7


def test_a_later_argument_wins_over_one_for_its_section(loaded: Loaded) -> None:
    arguments = ("optimizer.name=sgd", "optimizer={name: adam}", "optimizer.name=lion")
    assert loaded(BASE, *arguments).recipe.optimizer.name == "lion"


def test_an_empty_value_removes_the_key(loaded: Loaded) -> None:
    text = BASE + "training: {epochs: 3, early_stopping: {patience: 2, min_delta: 0.1}}\n"
    training = loaded(text, "training.early_stopping.patience=", "training.epochs=").recipe.training
    assert (training.epochs, training.early_stopping.patience) == (10, 5)
    assert training.early_stopping.min_delta == 0.1


def test_null_and_an_empty_string_are_values(problems: Problems, loaded: Loaded) -> None:
    text = BASE + "description: x\ntraining: {early_stopping: {patience: 2}}\n"
    recipe = loaded(text, 'description=""', "training.early_stopping.patience=null").recipe
    assert recipe.description == ""
    assert recipe.training.early_stopping.patience is None
    assert problems(text, "seed=null") == [
        "--set seed=null: seed: expected an integer from 0 to 2147483647. Received nothing."
    ]


def test_the_weights_of_a_base_are_removed_for_one_from_a_file(
    loaded: Loaded, tmp_path: Path
) -> None:
    base = tmp_path / "base.keras"
    base.touch()
    text = "data: {source: digits}\nmodel: {architecture: transfer, base: VGG16, weights: null}\n"
    recipe = loaded(text, "model.weights=", f"model.base={base}").recipe
    assert recipe.model.base == base
    assert "weights" not in yaml.safe_load(dump_recipe(recipe, {}))["model"]


def test_a_section_is_removed_before_its_keys_are_set(loaded: Loaded) -> None:
    text = BASE + "optimizer: {name: adam, beta_1: 0.8, learning_rate: 1}\n"
    recipe = loaded(text, "optimizer=", "optimizer.name=sgd").recipe
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate) == ("sgd", 0.01)


def test_a_key_of_the_alternative_before_is_an_error_that_says_what_to_do(
    problems: Problems,
) -> None:
    text = BASE + "optimizer: {name: adam, beta_1: 0.8, amsgrad: true}\n"
    (first, second) = problems(text, "optimizer.name=sgd")
    keys = (
        "name, learning_rate, schedule, weight_decay, clipnorm, clipvalue, global_clipnorm, "
        "use_ema, ema_momentum, ema_overwrite_frequency, gradient_accumulation_steps, momentum, "
        "nesterov"
    )
    assert first == (
        f"recipe.yaml:3:25: optimizer.beta_1: unknown key. Expected one of: {keys}. "
        "'beta_1' belongs to name adam or adamax or adamw or lamb or lion or nadam or "
        "schedule_free_adamw. Remove it with --set optimizer.beta_1=, or replace the whole "
        "section with --set 'optimizer={name: sgd}'."
    )
    assert second.endswith(
        " Remove it with --set optimizer.amsgrad=, or replace the whole section with "
        "--set 'optimizer={name: sgd}'."
    )
    (alone,) = problems(BASE + "optimizer: {name: sgd, beta_1: 0.8}\n")
    assert "--set" not in alone


def test_a_key_that_the_recipe_does_not_have_can_be_removed(loaded: Loaded) -> None:
    changes = ("tracking.uri=", "runtime=", "training.epochs=", "training.top_k=2")
    assert loaded(BASE + "training:\n", *changes).recipe == loaded(BASE, changes[-1]).recipe


def test_a_removed_key_has_no_location(loaded: Loaded) -> None:
    document = loaded(BASE + "training: {early_stopping: {patience: 2}}\n", "training=").document
    assert not [path for path in document.locations if path[:1] == ("training",)]


def test_a_later_value_wins_over_a_removal(loaded: Loaded) -> None:
    assert loaded(BASE, "seed=7", "seed=", "seed=8").recipe.seed == 8
    assert loaded(BASE, "seed=7", "seed=").recipe.seed == 42


def test_an_invalid_value_can_be_replaced(loaded: Loaded) -> None:
    assert loaded(BASE + "seed: no\n", "seed=7").recipe.seed == 7


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("seed", "--set seed: Expected path=value, as in seed=7."),
        ("=7", "--set =7: Expected path=value, as in seed=7."),
        ("a..b=7", "--set a..b=7: Expected path=value, as in seed=7."),
        (
            "seed=[1",
            "--set seed=[1: while parsing a flow sequence, "
            "expected ',' or ']', but got '<stream end>'.",
        ),
        (
            "seed=${SEED}",
            "--set seed=${SEED}: The environment variable SEED is not set or empty. "
            "Set it, or write ${SEED:-default}.",
        ),
        (
            "model.architecture.x=1",
            "--set model.architecture.x=1: model.architecture.x: "
            "'model.architecture' is a single value and has no key 'x'.",
        ),
        (
            "model.hidden.2=1",
            "--set model.hidden.2=1: model.hidden.2: "
            "'model.hidden' is a list of 2 items. Received index '2'.",
        ),
        (
            "model.hidden.-1=1",
            "--set model.hidden.-1=1: model.hidden.-1: "
            "'model.hidden' is a list of 2 items. Received index '-1'.",
        ),
        (
            "model.hidden.first=1",
            "--set model.hidden.first=1: model.hidden.first: "
            "'model.hidden' is a list of 2 items. Received index 'first'.",
        ),
        (
            "model.hidden.0=",
            "--set model.hidden.0=: model.hidden.0: "
            "'model.hidden' is a list, whose items cannot be removed. Set the whole list.",
        ),
        (
            "model.architecture.x=",
            "--set model.architecture.x=: model.architecture.x: "
            "'model.architecture' is a single value and has no key 'x'.",
        ),
        (
            "model.wieghts=",
            "--set model.wieghts=: model.wieghts: unknown key. Did you mean 'model.weights'?",
        ),
        (
            "data=",
            "recipe.yaml:1:1: data: required key is missing.",
        ),
        (
            ".".join("a" * 41) + "=1",
            f"--set {'.'.join('a' * 41)}=1: Nested deeper than 40 levels.",
        ),
        (
            "seed=\n- 1",
            "--set seed=\\n- 1: seed: expected an integer from 0 to 2147483647. Received [1].",
        ),
        (
            "trainin.epochs=3",
            "--set trainin.epochs=3: trainin: unknown key. Expected one of: name, description, "
            "seed, data, model, regularization, optimizer, training, tuning, tracking, runtime. "
            "Did you mean 'training'?",
        ),
        (
            "regularization.dropuot=0.5",
            "--set regularization.dropuot=0.5: regularization.dropuot: unknown key. Expected one "
            "of: dropout, l1, l2, batch_norm, label_smoothing, initializer. "
            "Did you mean 'dropout'?",
        ),
        (
            "regularization.3=1",
            "--set regularization.3=1: regularization.3: unknown key. Expected one of: dropout, "
            "l1, l2, batch_norm, label_smoothing, initializer.",
        ),
        (
            "model.hidden.0=x",
            "--set model.hidden.0=x: model.hidden.0: expected an integer, 1 or more. Received 'x'.",
        ),
        (
            "seed=a:1:2",
            "--set seed=a:1:2: seed: expected an integer from 0 to 2147483647. Received 'a:1:2'.",
        ),
    ],
)
def test_an_error_in_an_argument_names_the_argument(
    problems: Problems, argument: str, problem: str
) -> None:
    assert problems(BASE, argument) == [problem]


def test_a_list_index_of_thousands_of_digits_is_an_error(problems: Problems) -> None:
    path = f"model.hidden.{'9' * 5000}"
    (problem,) = problems(BASE, f"{path}=1")
    assert problem.startswith(f"--set {path}=1: {path}: 'model.hidden' is a list of 2 items.")


def test_all_wrong_arguments_are_reported(problems: Problems) -> None:
    assert problems(BASE, "seed", "name.x.y=1", "=3") == [
        "--set seed: Expected path=value, as in seed=7.",
        "--set =3: Expected path=value, as in seed=7.",
    ]


def test_errors_in_the_file_come_before_errors_in_arguments(problems: Problems) -> None:
    assert problems(BASE + "name: 3\n", "seed=a:1:1") == [
        "recipe.yaml:3:1: name: expected a non-empty string. Received 3.",
        "--set seed=a:1:1: seed: expected an integer from 0 to 2147483647. Received 'a:1:1'.",
    ]


def test_a_missing_key_of_a_section_from_an_argument_names_the_argument(
    problems: Problems,
) -> None:
    assert problems("model: {architecture: mlp}\n", "data.batch_size=3") == [
        "--set data.batch_size=3: data.source: required key is missing, "
        "expected one of: digits, generated, image_folder, mnist, table."
    ]


def test_paths_are_relative_to_the_recipe_and_in_arguments_to_the_working_directory(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = tmp_path / "working"
    for folder in (tmp_path, working):
        for name in ("ants", "bees"):
            (folder / "photographs" / name).mkdir(parents=True)
    monkeypatch.chdir(working)
    text = "data: {source: image_folder, path: photographs}\nmodel: {architecture: mlp}\n"
    assert loaded(text).recipe.data.path == tmp_path / "photographs"
    replaced = loaded(text, "data.path=photographs").recipe
    assert replaced.data.path == working / "photographs"


def test_the_document_is_not_modified() -> None:
    document = Document({"a": [1, {"b": 2}]})
    values = parse_overrides(("a.1.b=3",), directory=Path(), environment={})
    assert apply_overrides(document, values).tree == {"a": [1, {"b": 3}]}
    assert document.tree == {"a": [1, {"b": 2}]}


def test_a_list_index_is_its_digits() -> None:
    where = Location("search", "search")
    changed = apply_overrides(Document({"a": [1]}), {("a", "0"): Document(5, {(): where})})
    assert changed.tree == {"a": [5]}
    assert changed.locations == {("a",): where, ("a", 0): where}


def test_an_error_in_a_list_item_that_an_argument_changed_names_the_argument(
    problems: Problems,
) -> None:
    text = "model: {architecture: mlp}\ndata: {source: digits, augmentation: [random_flip: {}]}\n"
    (problem,) = problems(text, "data.augmentation.0.random_zoom={}")
    assert problem.startswith("--set data.augmentation.0.random_zoom={}: data.augmentation.0: ")


@pytest.mark.parametrize(
    "value",
    [
        7,
        1e-7,
        True,
        None,
        "no",
        "3",
        "",
        "${HOME}",
        "a b: [c] # d",
        'quote"\\',
        "line\nbreak\t\x7f\x85\u2028\U0001f600é",
        [64, 32],
        {"name": "sgd", "momentum": 0.9},
    ],
    ids=repr,
)
def test_a_python_value_is_read_back_as_it_is(value: Any) -> None:
    arguments = override_arguments({"a.b": value})
    parsed = parse_overrides(arguments, directory=Path.cwd(), environment={"HOME": "elsewhere"})
    document = parsed["a", "b"]
    assert isinstance(document, Document)
    assert document.tree == value


def test_a_path_and_a_numpy_number_are_plain_values() -> None:
    values = {"a": Path("b/c"), "d": np.float64(0.5), "e": np.arange(2)}
    assert override_arguments(values) == ('a="b/c"', "d=0.5", "e=[0, 1]")


def test_a_value_that_no_recipe_can_hold_is_an_error() -> None:
    with pytest.raises(UsageError) as raised:
        override_arguments({"data.path": object()})
    assert str(raised.value) == (
        "overrides: data.path: expected a number, a string, a path, true or false, None, a list "
        "or a dict. Received: a value of type object."
    )
