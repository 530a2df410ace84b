from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.shipped import shipped_recipes

VALID = """\
data:
  source: digits
  batch_size: 32
model:
  architecture: mlp
  hidden: [64]
optimizer:
  name: adam
  learning_rate: 1e-3
training:
  epochs: 3
"""
OPTIMIZER_KEYS = (
    "name, learning_rate, schedule, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, "
    "ema_momentum, ema_overwrite_frequency, gradient_accumulation_steps, beta_1, beta_2, epsilon, "
    "amsgrad"
)


def write(text: str, name: str = "recipe.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_what_is_found_is_said(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Training/ants/1.jpg", "Training/bees/2.jpg", "unlabelled/3.jpg"):
        Path("data", name).parent.mkdir(parents=True, exist_ok=True)
        Path("data", name).touch()
    recipe = write("data: {source: image_folder, path: data}\nmodel: {architecture: mlp}\n")
    assert main(["validate", recipe]) == 0
    assert capsys.readouterr() == (
        "recipe.yaml: valid\n",
        f"Found 2 files of 2 classes (ants, bees) in {in_empty_folder / 'data'} (layout "
        "split/class): train 2; drawn: 0.2 of train as val. Ignored: unlabelled/ (images without "
        "classes).\n",
    )


def test_a_valid_recipe_is_reported_as_valid(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", write(VALID)]) == 0
    assert capsys.readouterr() == ("recipe.yaml: valid\n", "")


def test_every_shipped_recipe_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(path) for path in shipped_recipes().values()]
    assert main(["validate", *paths]) == 0
    assert capsys.readouterr() == ("".join(f"{path}: valid\n" for path in paths), "")


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        (
            "training:",
            "trainig:",
            "10:1: trainig: unknown key. Expected one of: name, description, seed, data, model, "
            "regularization, optimizer, training, tuning, tracking, runtime. Did you mean "
            "'training'?",
        ),
        (
            "source: digits",
            "source: digit",
            "2:3: data.source: expected one of: digits, generated, image_folder, mnist, table. "
            "Received 'digit'. Did you mean 'digits'?",
        ),
        (
            "batch_size: 32",
            "batchsize: 32",
            "3:3: data.batchsize: unknown key. Expected one of: source, task, batch_size, "
            "sampling, split_seed, image_size, augmentation, validation, test. Did you mean "
            "'batch_size'?",
        ),
        (
            "batch_size: 32",
            "batch_size: 32.5",
            "3:3: data.batch_size: expected an integer, 1 or more, or all (batch "
            "gradient descent). Received 32.5.",
        ),
        (
            "architecture: mlp",
            "architecture: mpl",
            f"5:3: model.architecture: expected one of: {', '.join(ARCHITECTURES)}. "
            "Received 'mpl'. Did you mean 'mlp'?",
        ),
        (
            "hidden: [64]",
            "hidden: [64, -1]",
            "6:16: model.hidden.1: expected an integer, 1 or more. Received -1.",
        ),
        (
            "learning_rate: 1e-3",
            "learnin_rate: 1e-3",
            f"9:3: optimizer.learnin_rate: unknown key. Expected one of: {OPTIMIZER_KEYS}. "
            "Did you mean 'learning_rate'?",
        ),
        (
            "learning_rate: 1e-3",
            "learning_rate: 1e-3x",
            "9:3: optimizer.learning_rate: expected a number above 0 in float32. Received '1e-3x'.",
        ),
        (
            "epochs: 3",
            "epochs: three",
            "11:3: training.epochs: expected an integer, 1 or more. Received 'three'.",
        ),
        (
            "epochs: 3",
            "epochs: 3\n  epochs: 4",
            "12:3: training.epochs: Duplicate key, first at recipe.yaml:11:3.",
        ),
        (
            "training:",
            "training",
            "11:9: while scanning a simple key, could not find expected ':'.",
        ),
    ],
)
def test_the_error_of_a_misspelling_has_its_location_and_a_suggestion(
    in_empty_folder: Path,
    capsys: pytest.CaptureFixture[str],
    right: str,
    wrong: str,
    problem: str,
) -> None:
    assert main(["validate", write(VALID.replace(right, wrong))]) == 2
    assert capsys.readouterr() == ("", f"recipe.yaml:{problem}\n")


def test_every_recipe_is_checked_even_if_another_is_wrong(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(VALID, "right.yaml")
    write("seed: x\n" + VALID, "wrong.yaml")
    write("", "empty.yaml")
    assert main(["validate", "wrong.yaml", "absent.yaml", "right.yaml", "empty.yaml"]) == 2
    assert capsys.readouterr() == (
        "right.yaml: valid\n",
        "wrong.yaml:1:1: seed: expected an integer from 0 to 2147483647. Received 'x'.\n"
        "absent.yaml: the file does not exist. `pipeline list` lists the recipes that come with "
        "the package, and `pipeline copy NAME` copies one.\n"
        "empty.yaml:1:1: Expected a mapping with the sections of a recipe. Received nothing.\n",
    )


def test_a_recipe_with_a_warning_is_valid(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = VALID.replace("batch_size: 32", "augmentation: [random_flip: {}]")
    assert main(["validate", write(text)]) == 0
    assert capsys.readouterr() == (
        "recipe.yaml: valid\n",
        "WARNING: recipe.yaml:3:18: data.augmentation.0.random_flip: "
        "a flip can change the class of these images, as it does for digits.\n",
    )


def test_arguments_are_checked_with_the_recipe(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--set", "training.epochs=0", "--set", "seed=7"]
    assert main(["validate", write(VALID), *arguments]) == 2
    assert capsys.readouterr() == (
        "",
        "--set training.epochs=0: training.epochs: expected an integer, 1 or more. Received 0.\n",
    )


def test_problems_are_shown_whatever_messages_are(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quiet", "validate", write("seed: x\n" + VALID)]) == 2
    assert capsys.readouterr().err.startswith("recipe.yaml:1:1: seed: expected an integer")
