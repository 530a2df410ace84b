"""Checks of search spaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import RecipeError
from pipeline.recipe.loader import load_recipe, with_overrides

BASE = "data: {source: digits}\nmodel: {architecture: mlp}\ntuning:\n  space:\n"


def problems(tmp_path: Path, space: str, head: str = BASE) -> list[str]:
    """Return the errors of a recipe with a search space, without the directory of its file."""
    path = tmp_path / "recipe.yaml"
    path.write_text(head + space)
    try:
        load_recipe(path, environment={})
    except RecipeError as caught:
        return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.problems]
    return []


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (
            "    regularization.dropuot: {range: [0.0, 0.6]}",
            "recipe.yaml:5:38: tuning.space.regularization.dropuot: unknown key. Expected one of: "
            "dropout, l1, l2, batch_norm, label_smoothing, initializer. Did you mean 'dropout'?",
        ),
        (
            "    regularization.dropout: {range: [0.0, 1.6]}",
            "recipe.yaml:5:43: tuning.space.regularization.dropout: expected a number from 0 to "
            "less than 1. Received 1.6.",
        ),
        (
            "    data.validation: {choice: [0, 0.2]}",
            "recipe.yaml:5:32: tuning.space.data.validation: tuning.objective: val_accuracy needs "
            "a validation split, and data.validation: 0 leaves none. Set data.validation above 0.",
        ),
        (
            "    optimizer: {choice: [{name: adam}, {name: sdg, momentum: 0.9}]}",
            "recipe.yaml:5:41: tuning.space.optimizer: optimizer.name: expected one of: adadelta, "
            "adafactor, adagrad, adam, adamax, adamw, ftrl, lamb, lion, muon, nadam, rmsprop, "
            "schedule_free_adamw, sgd. Received 'sdg'. Did you mean 'sgd'?",
        ),
        (
            "    model: {choice: [{architecture: mlp}, {architecture: lenet}]}\n"
            "    data.image_size: {choice: [[64, 64]], when: {model.architecture: lenet}}",
            "recipe.yaml:6:32: tuning.space.data.image_size: lenet accepts at most [32, 32]. "
            "Received [64, 64].",
        ),
        (
            "    optimizer.learning_rate: {log: [0, 1e-1]}",
            "recipe.yaml:5:31: tuning.space.optimizer.learning_rate.log: expected two numbers "
            "above 0, [low, high]. Received [0, 0.1].",
        ),
        (
            "    regularization.l2: {range: [0.6, 0.6]}",
            "recipe.yaml:5:5: tuning.space.regularization.l2: expected low below high in range. "
            "Received {range: [0.6, 0.6]}.",
        ),
        (
            "    regularization.l2: {range: [0.6, 0.9], step: 2}",
            "recipe.yaml:5:5: tuning.space.regularization.l2: expected a step above 0 that fits "
            "into range. Received {range: [0.6, 0.9], step: 2}.",
        ),
        (
            "    regularization.l2: {range: [0, 1], log: [1, 2]}",
            "recipe.yaml:5:5: tuning.space.regularization.l2: expected exactly one of choice, "
            "range and log. Received {range: [0, 1], log: [1, 2]}.",
        ),
        (
            "    optimizer.name: {choise: [adam]}",
            "recipe.yaml:5:22: tuning.space.optimizer.name.choise: unknown key. Expected one of: "
            "choice, range, step, log, when. Did you mean 'choice'?",
        ),
        (
            "    tracking.uri: {choice: [a]}",
            "recipe.yaml:5:19: tuning.space.tracking.uri: expected a path of the recipe outside "
            "name, description, tracking and tuning. Received 'tracking.uri'.",
        ),
        (
            "    optimizer.name: {choice: [adam, sgd]}\n"
            "    optimizer.momentum: {range: [0.0, 0.9], when: {optimizer.nmae: sgd}}",
            "recipe.yaml:6:68: tuning.space.optimizer.momentum.when.optimizer.nmae: expected "
            "another parameter of the space that has a choice. Available: optimizer.name.",
        ),
        (
            "    optimizer.name: {choice: [adam, sgd]}\n"
            "    optimizer.momentum: {range: [0.0, 0.9], when: {optimizer.name: [lion]}}",
            "recipe.yaml:6:68: tuning.space.optimizer.momentum.when.optimizer.name: no value in "
            "the choice of optimizer.name is ['lion'].",
        ),
        (
            "    optimizer.name: {choice: [adam, sgd], when: {regularization.l2: 1}}\n"
            "    regularization.l2: {choice: [1, 2], when: {optimizer.name: sgd}}",
            "recipe.yaml:5:49: tuning.space.optimizer.name.when: the conditions form a cycle.",
        ),
        (
            "    optimizer.name: {choice: []}",
            "recipe.yaml:5:5: tuning.space.optimizer.name: expected from 1 to 64 values in choice. "
            "Received {choice: []}.",
        ),
        (
            "    {}",
            "recipe.yaml:4:3: tuning.space: expected from 1 to 32 parameters. Received {}.",
        ),
    ],
)
def test_errors_of_a_search_space_are_reported(tmp_path: Path, space: str, expected: str) -> None:
    assert problems(tmp_path, space)[0] == expected


def test_a_choice_that_leaves_keys_of_another_alternative_says_what_to_do(tmp_path: Path) -> None:
    head = "optimizer: {name: adam, beta_1: 0.8}\n" + BASE
    (problem,) = problems(tmp_path, "    optimizer.name: {choice: [adam, sgd]}\n", head)
    assert problem.startswith(
        "recipe.yaml:6:37: tuning.space.optimizer.name: optimizer.beta_1: unknown key. "
    )
    assert problem.endswith(
        " To vary optimizer.name, list whole sections in tuning.space.optimizer."
    )


def test_every_trial_has_the_objective(tmp_path: Path) -> None:
    head = "training: {top_k: 3}\n" + BASE.replace(
        "  space:", "  objective: val_top_3_accuracy\n  space:"
    )
    assert problems(tmp_path, "    training.top_k: {choice: [3, 5]}\n", head) == [
        "recipe.yaml:7:34: tuning.space.training.top_k: tuning.objective: val_top_3_accuracy needs "
        "training.top_k: 3. Received 5."
    ]


def test_all_errors_of_a_search_space_are_reported_at_once(tmp_path: Path) -> None:
    space = (
        "    regularization.dropout: {range: [-1, 2]}\n"
        "    optimizer.name: {choice: [adam, no, one]}\n"
    )
    errors = problems(tmp_path, space)
    assert [line.split(": ")[0] for line in errors] == [
        "recipe.yaml:5:38",
        "recipe.yaml:5:42",
        "recipe.yaml:6:37",
        "recipe.yaml:6:41",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "  budget: 10x\n",
            "recipe.yaml:4:3: tuning.budget: expected a duration such as 90s, 10m or 1h30m. "
            "Received '10x'.",
        ),
        (
            "  objective: test_accuracy\n",
            "recipe.yaml:4:3: tuning.objective: expected one of: val_accuracy, "
            "val_balanced_accuracy, val_log_loss, val_ece, val_roc_auc, val_precision_macro, "
            "val_precision_weighted, val_recall_macro, val_recall_weighted, val_f1_macro, "
            "val_f1_weighted, val_top_K_accuracy, val_precision/CLASS, val_recall/CLASS, "
            "val_f1/CLASS. Received 'test_accuracy'. Did you mean 'val_accuracy'?",
        ),
    ],
)
def test_wrong_values_of_the_section_are_errors(tmp_path: Path, line: str, expected: str) -> None:
    head = BASE.replace("  space:", f"{line}  space:")
    errors = problems(tmp_path, "    regularization.l2: {choice: [1]}", head)
    assert errors == [expected]


def test_the_epochs_cannot_be_searched_with_hyperband(tmp_path: Path) -> None:
    head = BASE.replace("  space:", "  tuner: hyperband\n  space:")
    assert problems(tmp_path, "    training.epochs: {choice: [3]}", head) == [
        "recipe.yaml:6:22: tuning.space.training.epochs: hyperband sets the epochs itself. "
        "Remove this key, or choose another tuner."
    ]


def test_different_images_for_each_trial_are_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(BASE + "    data.split_seed: {choice: [1, 2]}")
    (warning,) = load_recipe(path, environment={}).warnings
    assert str(warning) == (
        f"{path}:5:22: tuning.space.data.split_seed: trials with different "
        "values are evaluated on different data: not comparable."
    )


@pytest.mark.parametrize(
    ("budget", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200)]
)
def test_a_budget_is_converted_to_seconds(tmp_path: Path, budget: str, seconds: float) -> None:
    path = tmp_path / "recipe.yaml"
    head = BASE.replace("  space:", f"  budget: {budget}\n  space:")
    path.write_text(head + "    seed: {choice: [1, 2]}")
    tuning = load_recipe(path, environment={}).recipe.tuning
    assert tuning is not None
    assert tuning.budget_seconds == seconds


@pytest.mark.parametrize(
    ("objective", "direction"),
    [
        ("val_accuracy", "max"),
        ("val_log_loss", "min"),
        ("val_ece", "min"),
        ("val_f1_macro", "max"),
        ("val_recall/7", "max"),
    ],
)
def test_the_direction_follows_from_the_objective(
    tmp_path: Path, objective: str, direction: str
) -> None:
    path = tmp_path / "recipe.yaml"
    head = BASE.replace("  space:", f"  objective: {objective}\n  space:")
    path.write_text(head + "    seed: {choice: [1, 2]}")
    tuning = load_recipe(path, environment={}).recipe.tuning
    assert tuning is not None
    assert tuning.direction == direction


def test_a_trial_is_the_recipe_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(BASE + "    regularization.l2: {choice: [0.1]}")
    loaded = load_recipe(path, environment={})
    trial = with_overrides(loaded, {"optimizer": {"name": "sgd"}, "optimizer.momentum": 0.5})
    same = load_recipe(path, ("optimizer={name: sgd}", "optimizer.momentum=0.5", "tuning=null"))
    assert trial.recipe == same.recipe
    assert trial.recipe.tuning is None


def test_the_values_of_a_trial_are_not_modified(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(BASE + "    regularization.l2: {choice: [0.1]}")
    section = {"name": "sgd"}
    values = {"optimizer": section, "optimizer.momentum": 0.5}
    with_overrides(load_recipe(path, environment={}), values)
    assert section == {"name": "sgd"}


def test_a_value_that_some_values_of_the_others_allow_is_no_error(tmp_path: Path) -> None:
    head = "training: {epochs: 5}\n" + BASE
    space = (
        "    training.epochs: {choice: [5, 20]}\n"
        "    optimizer.schedule: {choice: [{cosine: {warmup: 2}}, {cosine: {warmup: 10}}]}\n"
    )
    assert problems(tmp_path, space, head) == []


def test_a_value_that_no_value_of_the_others_allows_is_an_error(tmp_path: Path) -> None:
    head = "training: {epochs: 50}\n" + BASE
    space = (
        "    training.epochs: {choice: [5, 8]}\n"
        "    optimizer.schedule: {choice: [{cosine: {warmup: 2}}, {cosine: {warmup: 10}}]}\n"
    )
    assert problems(tmp_path, space, head) == [
        "recipe.yaml:7:58: tuning.space.optimizer.schedule: no values of the other parameters make "
        "a valid recipe with this one. For example, optimizer.schedule: expected a warmup shorter "
        "than training.epochs, 8. Received 10.0."
    ]


def test_hyperband_s_shortest_trials_have_to_be_valid_too(tmp_path: Path) -> None:
    head = "training: {epochs: 12}\n" + BASE.replace("tuning:\n", "tuning:\n  tuner: hyperband\n")
    space = "    optimizer.schedule: {choice: [{cosine: {warmup: 1}}, {cosine: {warmup: 2}}]}\n"
    assert problems(tmp_path, space, head) == [
        "recipe.yaml:7:58: tuning.space.optimizer.schedule: expected a warmup shorter than "
        "training.epochs, 2. Received 2.0. Hyperband trains some trials for 2 epochs only."
    ]


def test_a_space_without_a_valid_point_is_an_error(tmp_path: Path) -> None:
    contradictory = (
        "    optimizer.clipnorm: {choice: [1.0, 2.0]}\n"
        "    optimizer.clipvalue: {range: [1.0, 2.0]}\n"
    )
    reason = (
        "is a valid recipe. For example, optimizer.clipvalue: cannot be used together with "
        "clipnorm. Remove one of them."
    )
    assert problems(tmp_path, contradictory) == [
        f"recipe.yaml:5:5: tuning.space: no combination of values {reason}"
    ]
    rest = "".join(
        f"    regularization.{key}: {{range: [0.0, 0.5]}}\n" for key in ("dropout", "l1", "l2")
    )
    large = "    seed: {choice: [1, 2, 3, 4, 5, 6, 7, 8]}\n" + rest + contradictory
    assert problems(tmp_path, large) == [
        f"recipe.yaml:5:5: tuning.space: no combination that was tried {reason}"
    ]


def test_conditions_are_met_in_combinations(tmp_path: Path) -> None:
    space = (
        "    optimizer.clipnorm: {choice: [1.0, null]}\n"
        "    optimizer.clipvalue: {choice: [1.0], when: {optimizer.clipnorm: [null]}}\n"
    )
    assert problems(tmp_path, space) == []
    assert problems(tmp_path, space.replace("[null]", "1.0")) == [
        "recipe.yaml:6:36: tuning.space.optimizer.clipvalue: cannot be used together with "
        "clipnorm. Remove one of them."
    ]
