from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.validation_messages import format_value

Problems = Callable[..., list[str]]

DATA = "data: {source: digits}\n"
MODEL = "model: {architecture: mlp}\n"
ARCHITECTURE_NAMES = ", ".join(ARCHITECTURES)
OPERATIONS = (
    "random_flip, random_rotation, random_translation, random_zoom, random_crop, random_contrast, "
    "random_brightness, rand_augment, mix_up, cut_mix, random_erasing"
)


def test_all_errors_are_reported_in_the_order_of_the_file(problems: Problems) -> None:
    text = """\
traning: {epochs: 3}
training: {epochs: 0, loss: crossentropy}
model:
  architecture: lenet
  base: ResNet50
data:
  source: digits
  batch_size: auto
  augmentation:
    - random_crop: {height: 30, width: 30}
    - random_crop: {height: 30.5, width: 20}
regularization: {dropuot: 0.5, dropout: 1}
"""
    assert problems(text) == [
        "recipe.yaml:1:1: traning: unknown key. Expected one of: name, description, seed, data, "
        "model, regularization, optimizer, training, tuning, tracking, runtime. Did you mean "
        "'training'?",
        "recipe.yaml:2:12: training.epochs: expected an integer, 1 or more. Received 0.",
        "recipe.yaml:2:23: training.loss: expected one of: cross_entropy, binary_cross_entropy, "
        "mean_squared_error, mean_absolute_error, focal_cross_entropy, "
        "binary_focal_cross_entropy, asymmetric_cross_entropy, huber. Received "
        "'crossentropy'. Did you mean 'cross_entropy'?",
        "recipe.yaml:5:3: model.base: unknown key. Expected one of: architecture, weights, "
        "activation, pooling. 'base' belongs to architecture transfer.",
        "recipe.yaml:8:3: data.batch_size: expected an integer, 1 or more, or all "
        "(batch gradient descent). Received 'auto'.",
        "recipe.yaml:11:21: data.augmentation.1.random_crop.height: expected an integer, "
        "1 or more. Received 30.5.",
        "recipe.yaml:12:18: regularization.dropuot: unknown key. Expected one of: dropout, l1, l2, "
        "batch_norm, label_smoothing, initializer. Did you mean 'dropout'?",
        "recipe.yaml:12:32: regularization.dropout: expected a number from 0 to less than 1. "
        "Received 1.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "seed: 3\n",
            [
                "recipe.yaml:1:1: data: required key is missing.",
                "recipe.yaml:1:1: model: required key is missing.",
            ],
        ),
        (
            "data: {batch_size: 3}\nmodel: {hidden: [3]}\n",
            [
                "recipe.yaml:1:1: data.source: required key is missing, "
                "expected one of: digits, generated, image_folder, mnist, table.",
                "recipe.yaml:2:1: model.architecture: required key is missing, "
                f"expected one of: {ARCHITECTURE_NAMES}.",
            ],
        ),
        (
            "data: {source: image_folder}\nmodel: {architecture: transfer}\n",
            [
                "recipe.yaml:1:1: data.path: required key is missing.",
                "recipe.yaml:2:1: model.base: required key is missing.",
            ],
        ),
        (
            DATA + "model: {architecture: transfer, base: VGG16}\ntraining: {fine_tune: {}}\n",
            ["recipe.yaml:3:12: training.fine_tune.from: required key is missing."],
        ),
        (
            "data: {source: digits, augmentation: [random_crop: {height: 3}]}\n" + MODEL,
            ["recipe.yaml:1:39: data.augmentation.0.random_crop.width: required key is missing."],
        ),
    ],
)
def test_a_missing_required_key_is_an_error(
    problems: Problems, text: str, expected: list[str]
) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("text", "received"),
    [("", "nothing"), ("adam", "'adam'"), ("[1]", "[1]"), ("3", "3")],
)
@pytest.mark.parametrize("section", ["optimizer", "training", "regularization"])
def test_a_section_is_a_mapping(problems: Problems, section: str, text: str, received: str) -> None:
    assert problems(f"{DATA}{MODEL}{section}: {text}\n") == [
        f"recipe.yaml:3:1: {section}: expected a section with keys and values. Received {received}."
    ]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("seed: 3.5", "3:1: seed: expected an integer from 0 to 2147483647. Received 3.5."),
        ("seed: true", "3:1: seed: expected an integer from 0 to 2147483647. Received true."),
        ("seed: '3'", "3:1: seed: expected an integer from 0 to 2147483647. Received '3'."),
        (
            "seed: 2147483648",
            "3:1: seed: expected an integer from 0 to 2147483647. Received 2147483648.",
        ),
        ("name: 3", "3:1: name: expected a non-empty string. Received 3."),
        ("name: ''", "3:1: name: expected a non-empty string. Received ''."),
        ("description: [x]", "3:1: description: expected a string. Received ['x']."),
        (
            "optimizer: {learning_rate: 0}",
            "3:13: optimizer.learning_rate: expected a number above 0 in float32. Received 0.",
        ),
        (
            "optimizer: {learning_rate: .nan}",
            "3:13: optimizer.learning_rate: expected a number above 0 in float32. Received nan.",
        ),
        (
            f"optimizer: {{learning_rate: {'9' * 400}}}",
            "3:13: optimizer.learning_rate: expected a number above 0 in float32. "
            f"Received {'9' * 57}….",
        ),
        (
            "optimizer: {amsgrad: yes}",
            "3:13: optimizer.amsgrad: expected true or false. Received 'yes'.",
        ),
        (
            "optimizer: {name: adm, momentum: 1}",
            "3:13: optimizer.name: expected one of: adadelta, adafactor, adagrad, adam, adamax, "
            "adamw, ftrl, lamb, lion, muon, nadam, rmsprop, schedule_free_adamw, sgd. "
            "Received 'adm'. Did you mean 'adam'?",
        ),
        (
            "optimizer: {schedule: cosine}",
            "3:13: optimizer.schedule: expected one of: constant, cosine, exponential, piecewise, "
            "plateau, as in constant: {…}. Received 'cosine'. Write cosine: {}.",
        ),
        (
            "optimizer: {schedule: {cosin: {}}}",
            "3:13: optimizer.schedule: expected one of: constant, cosine, exponential, piecewise, "
            "plateau, as in constant: {…}. Received 'cosin'. Did you mean 'cosine'?",
        ),
        (
            "optimizer: {schedule: {cosine: {}, plateau: {}}}",
            "3:13: optimizer.schedule: expected one of: constant, cosine, exponential, piecewise, "
            "plateau, as in constant: {…}. Received {cosine: {}, plateau: {}}.",
        ),
        (
            "optimizer: {schedule: {piecewise: {boundaries: [3, 2], factors: [1, 1]}}}",
            "3:24: optimizer.schedule.piecewise: expected increasing boundaries and one "
            "factor for each. Received {boundaries: [3, 2], factors: [1, 1]}.",
        ),
        (
            "training: {top_k: 1}",
            "3:12: training.top_k: expected an integer, 2 or more. Received 1.",
        ),
        (
            "runtime: {devices: [gpu]}",
            "3:11: runtime.devices: expected auto, cpu, or a list of devices such as "
            "[gpu:0, gpu:1]. Received ['gpu'].",
        ),
        (
            "training: {early_stopping: {monitor: val_loss}}",
            "3:29: training.early_stopping.monitor: expected one of: val_accuracy, "
            "val_balanced_accuracy, val_log_loss, val_ece, val_roc_auc, val_precision_macro, "
            "val_precision_weighted, val_recall_macro, val_recall_weighted, val_f1_macro, "
            "val_f1_weighted, val_top_K_accuracy, val_precision/CLASS, val_recall/CLASS, "
            "val_f1/CLASS. Received 'val_loss'. Did you mean 'val_log_loss'?",
        ),
        (
            "training: {loss: {focal_cross_entropy: {gama: 1}}}",
            "3:41: training.loss.focal_cross_entropy.gama: unknown key. Expected one of: gamma. "
            "Did you mean 'gamma'?",
        ),
        (
            "training: {loss: {focal: {gamma: 1}}}",
            "3:12: training.loss: expected one of: cross_entropy, binary_cross_entropy, "
            "mean_squared_error, mean_absolute_error, focal_cross_entropy, "
            "binary_focal_cross_entropy, asymmetric_cross_entropy, huber. Received "
            "'focal'.",
        ),
        (
            "training: {loss: {cross_entropy: {}}}",
            "3:12: training.loss: expected one of: cross_entropy, binary_cross_entropy, "
            "mean_squared_error, mean_absolute_error, focal_cross_entropy, "
            "binary_focal_cross_entropy, asymmetric_cross_entropy, huber. Received "
            "'cross_entropy'. Write "
            "cross_entropy.",
        ),
        (
            "training: {class_weight: balance}",
            "3:12: training.class_weight: expected none, balanced, or weights above 0 by class, "
            "such as {cats: 1, dogs: 3}. Received 'balance'.",
        ),
        (
            "training: {class_weight: {3: 0}}",
            "3:12: training.class_weight: expected none, balanced, or weights above 0 by class, "
            "such as {cats: 1, dogs: 3}. Received {3: 0}.",
        ),
        (
            'training: {loss: "a\\nb\\e[2J"}',
            "3:12: training.loss: expected one of: cross_entropy, binary_cross_entropy, "
            "mean_squared_error, mean_absolute_error, focal_cross_entropy, "
            "binary_focal_cross_entropy, asymmetric_cross_entropy, huber. Received "
            "'a\\nb\\x1b[2J'.",
        ),
    ],
)
def test_the_error_of_a_wrong_value_says_what_was_expected(
    problems: Problems, section: str, problem: str
) -> None:
    assert problems(f"{DATA}{MODEL}{section}\n") == [f"recipe.yaml:{problem}"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "random_flp: {}",
            f"7: data.augmentation.0: expected one of: {OPERATIONS}, as in random_flip: {{…}}. "
            "Received 'random_flp'. Did you mean 'random_flip'?",
        ),
        (
            "random_zoom",
            f"7: data.augmentation.0: expected one of: {OPERATIONS}, as in random_flip: {{…}}. "
            "Received 'random_zoom'. Write random_zoom: {}.",
        ),
        (
            "5",
            f"7: data.augmentation.0: expected one of: {OPERATIONS}, as in random_flip: {{…}}. "
            "Received 5.",
        ),
        (
            "{}",
            f"7: data.augmentation.0: expected one of: {OPERATIONS}, as in random_flip: {{…}}. "
            "Received {}.",
        ),
        (
            "random_flip: ",
            "7: data.augmentation.0.random_flip: expected a section with keys and values. "
            "Received nothing.",
        ),
        (
            "random_flip: {mode: horizontl}",
            "21: data.augmentation.0.random_flip.mode: expected one of: "
            "horizontal, vertical, horizontal_and_vertical. Received 'horizontl'. "
            "Did you mean 'horizontal'?",
        ),
        (
            "random_rotation: {factor: [0, 2]}",
            "25: data.augmentation.0.random_rotation.factor: "
            "expected a number from -1 to 1, or [low, high] of two such. Received [0, 2].",
        ),
    ],
)
def test_a_wrong_augmentation_is_an_error(problems: Problems, entry: str, problem: str) -> None:
    text = f"{MODEL}data:\n  source: digits\n  augmentation:\n    - {entry}\n"
    assert problems(text) == [f"recipe.yaml:5:{problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "data: {source: digit}\n" + MODEL,
            "1:8: data.source: expected one of: digits, generated, image_folder, mnist, table. "
            "Received 'digit'. Did you mean 'digits'?",
        ),
        (
            DATA + "model: {architecture: [mlp]}\n",
            f"2:9: model.architecture: expected one of: {ARCHITECTURE_NAMES}. Received ['mlp'].",
        ),
        (
            "data: {source: digits, image_size: 28}\n" + MODEL,
            "1:24: data.image_size: expected two integers, [height, width], in pixels. "
            "Received 28.",
        ),
        (
            "data: {source: image_folder, path: 3}\n" + MODEL,
            "1:30: data.path: expected a path, or an address such as "
            "s3://BUCKET/FOLDER. Received 3.",
        ),
        (
            "data: {source: image_folder, path: ''}\n" + MODEL,
            "1:30: data.path: expected a path. Received ''.",
        ),
        (
            "data: {source: image_folder, path: ~nobody-has-this-name/x}\n" + MODEL,
            "1:30: data.path: expected a path. Received '~nobody-has-this-name/x'.",
        ),
        (
            DATA + "model: {architecture: transfer, base: Resnet50}\n",
            "2:33: model.base: expected a network of keras.applications or the path of a .keras "
            "file. Received 'Resnet50'. Did you mean 'ResNet50'?",
        ),
        (
            DATA + "model: {architecture: mlp, hidden: 3}\n",
            "2:28: model.hidden: expected a list. Received 3.",
        ),
    ],
)
def test_a_wrong_source_or_model_is_an_error(problems: Problems, text: str, problem: str) -> None:
    assert problems(text) == [f"recipe.yaml:{problem}"]


@pytest.mark.parametrize("base", ["[ResNet50]", "{name: ResNet50}", "5", ""])
def test_a_base_that_is_not_a_string_is_an_error(problems: Problems, base: str) -> None:
    (problem,) = problems(f"{DATA}model: {{architecture: transfer, base: {base}}}\n")
    assert problem.startswith(
        "recipe.yaml:2:33: model.base: expected a network of keras.applications or the path of a "
        ".keras file. Received "
    )


@pytest.mark.parametrize(
    ("section", "hint"),
    [
        ("seeed: 3", " Did you mean 'seed'?"),
        ("dropuot: 3", " Did you mean 'regularization.dropout'?"),
        ("dropout: 3", " There is 'regularization.dropout'."),
        ("epochs: 3", " There is 'training.epochs'."),
        ("zzzz: 3", ""),
    ],
)
def test_the_error_of_an_unknown_key_suggests_the_nearest(
    problems: Problems, section: str, hint: str
) -> None:
    key = section.partition(":")[0]
    assert problems(f"{DATA}{MODEL}{section}\n") == [
        f"recipe.yaml:3:1: {key}: unknown key. Expected one of: name, description, seed, data, "
        f"model, regularization, optimizer, training, tuning, tracking, runtime.{hint}"
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            DATA + "model: {architecture: lenet, hidden: [3]}\n",
            "architecture alexnet or mlp or transfer or vgg",
        ),
        (DATA + "model: {architecture: mlp, pooling: max}\n", "architecture lenet"),
        (
            "data: {source: digits, path: x}\n" + MODEL,
            "source image_folder or mnist or table or table with features",
        ),
        (DATA + MODEL + "optimizer: {momentum: 0.9}\n", "name muon or rmsprop or sgd"),
    ],
)
def test_the_error_of_a_key_of_another_alternative_names_it(
    problems: Problems, text: str, hint: str
) -> None:
    (problem,) = problems(text)
    assert problem.endswith(f" belongs to {hint}.")


def test_the_error_of_a_key_with_a_line_break_is_one_line(problems: Problems) -> None:
    (problem,) = problems(f'{DATA}{MODEL}"a\\nb": 3\n')
    assert problem.startswith("recipe.yaml:3:1: a\\nb: unknown key.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (3e-4, "0.0003"),
        ("x", "'x'"),
        ([1, None, False, "x"], "[1, null, false, 'x']"),
        ({"a": {"b": None}}, "{a: {b: null}}"),
        ("a\nb", "'a\\nb'"),
        ("x" * 100, f"'{'x' * 56}…"),
    ],
)
def test_a_received_value_is_shown_as_in_a_recipe(value: Any, text: str) -> None:
    assert format_value(value) == text
