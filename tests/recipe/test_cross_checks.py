from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import RecipeError
from pipeline.recipe.loader import load_recipe

Loaded = Callable[..., Any]  # tests know the classes of the sections
Problems = Callable[..., list[str]]

DATA = "data: {source: digits}\n"
ALL_TRAINED = "data: {source: digits, validation: 0}\n"
MODEL = "model: {architecture: mlp}\n"
MOONS = "data: {source: generated, kind: moons}\n"
SEQUENTIAL = DATA + "model:\n  architecture: sequential\n  layers:\n    - "
VGG = "data: {source: digits, image_size: [32, 32]}\nmodel: {architecture: transfer, base: VGG16}\n"


def class_folders(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            DATA + MODEL + "training: {fine_tune: {from: 3}}\n",
            "3:12: training.fine_tune: needs a model with a frozen base, "
            "model.architecture: transfer. Received mlp.",
        ),
        (
            VGG + "runtime: {engine: tensorflow, precision: int8}\n",
            "3:11: runtime.engine: cannot compute in int8, as runtime.precision asks. Set it to "
            "openvino or auto.",
        ),
        (
            DATA + MODEL + "training: {top_k: 10}\n",
            "3:12: training.top_k: expected less than the number of classes, 10. Received 10.",
        ),
        (
            "data: {source: mnist}\n" + MODEL + "training: {top_k: 12}\n",
            "3:12: training.top_k: expected less than the number of classes, 10. Received 12.",
        ),
        (
            DATA + MODEL + "training: {loss: binary_cross_entropy}\n",
            "3:12: training.loss: binary_cross_entropy needs two classes. The data has 10.",
        ),
        (
            MOONS + "model: {architecture: lenet}\n",
            "2:9: model.architecture: lenet needs images, and the source generated has numbers. "
            "Expected one of: mlp, perceptron, sequential.",
        ),
        (
            MOONS + "model: {architecture: sequential, layers: [{MaxPooling2D: {}}]}\n",
            "2:45: model.layers.0.MaxPooling2D: needs a feature map, but the data has none.",
        ),
        (
            "data: {source: generated, kind: moons, augmentation: []}\n" + MODEL,
            "1:40: data.augmentation: unknown key. Expected one of: source, task, batch_size, "
            "sampling, split_seed, kind, samples, noise, validation, test. 'augmentation' belongs "
            "to source digits or image_folder or mnist or table.",
        ),
        (
            "data: {source: generated, kind: {function: {expression: sin(y)}}}\n" + MODEL,
            "1:45: data.kind.function.expression: expected an expression of x, such as "
            "sin(2 * pi * x). Received 'sin(y)'. Column 5: y is unknown. Expected one of: x, pi, "
            "sin, cos, exp, log, sqrt, abs, tanh.",
        ),
        (
            "data: {source: digits, image_size: [28, 33]}\nmodel: {architecture: lenet}\n",
            "1:24: data.image_size: lenet accepts at most [32, 32]. Received [28, 33].",
        ),
        (
            "data: {source: digits, image_size: [64, 70]}\n"
            "model: {architecture: transfer, base: Xception}\n",
            "1:24: data.image_size: Xception accepts at least [71, 71]. Received [64, 70].",
        ),
        (
            DATA + "model: {architecture: transfer, base: VGG16}\n",
            "1:1: data.image_size: VGG16 accepts at least [32, 32]. Received [8, 8].",
        ),
        (
            "data: {source: digits, augmentation: [random_crop: {height: 8, width: 9}]}\n" + MODEL,
            "1:39: data.augmentation.0.random_crop: expected a window within data.image_size "
            "[8, 8]. Received 8×9.",
        ),
        (
            SEQUENTIAL + "Conv2D: {filters: 4, kernel_size: 3, strides: 2}\n"
            "    - AveragePooling2D: {pool_size: [2, 4]}\n",
            "6:7: model.layers.1.AveragePooling2D: its window of 2×4 is larger than its input of "
            "3×3. Set a smaller pool_size, padding: same, or a larger data.image_size.",
        ),
        (
            SEQUENTIAL + "Conv2D: {filters: 4, kernel_size: 3, dilation_rate: 4}\n",
            "5:7: model.layers.0.Conv2D: its window of 9×9 is larger than its input of 8×8. Set a "
            "smaller kernel_size, padding: same, or a larger data.image_size.",
        ),
        (
            SEQUENTIAL + "Conv2D: {filters: 4, kernel_size: 3, dilation_rate: 2, strides: 2}\n",
            "5:7: model.layers.0.Conv2D: strides and dilation_rate cannot both be above 1.",
        ),
        (
            SEQUENTIAL + "Flatten\n    - MaxPooling2D\n",
            "6:7: model.layers.1.MaxPooling2D: needs a feature map, but a layer before it returns "
            "a vector.",
        ),
        (
            SEQUENTIAL + "Dense: {units: 3}\n",
            "4:3: model.layers: the last layer returns a feature map of 8×8, and the output layer "
            "needs a vector. Add Flatten or GlobalAveragePooling2D.",
        ),
        (
            VGG + "training: {fine_tune: {from: 3, schedule: {cosine: {warmup: 5}}}}\n",
            "3:33: training.fine_tune.schedule: expected a warmup shorter than "
            "training.fine_tune.epochs, 5. Received 5.0.",
        ),
        (
            VGG + "training: {fine_tune: {from: 3, optimizer: {name: sgd}}}\n",
            "3:33: training.fine_tune.optimizer: needs learning_rate, such as 1e-5. The default of "
            "sgd, 0.01, is not meant for a pretrained base.",
        ),
        (
            DATA + MODEL + "optimizer: {schedule: {cosine: {warmup: 10}}}\n",
            "3:13: optimizer.schedule: expected a warmup shorter than training.epochs, 10. "
            "Received 10.0.",
        ),
        (
            DATA + MODEL + "optimizer: {global_clipnorm: 1, clipnorm: 1}\n",
            "3:13: optimizer.global_clipnorm: cannot be used together with clipnorm. "
            "Remove one of them.",
        ),
        (
            DATA + MODEL + "optimizer: {name: ftrl, initial_accumulator_value: 0}\n",
            "3:25: optimizer.initial_accumulator_value: 0 is divided by 0 where a gradient is 0. "
            "Set a larger number, or optimizer.beta.",
        ),
        (
            DATA
            + MODEL
            + "tuning: {objective: val_top_3_accuracy, space: {seed: {choice: [1]}}}\n",
            "3:10: tuning.objective: val_top_3_accuracy needs training.top_k: 3. Received null.",
        ),
        (
            DATA + MODEL + "training: {top_k: 2}\n"
            "tuning: {objective: val_top_3_accuracy, space: {seed: {choice: [1]}}}\n",
            "4:10: tuning.objective: val_top_3_accuracy needs training.top_k: 3. Received 2.",
        ),
        (
            DATA + MODEL + "tuning: {objective: val_f1/11, space: {seed: {choice: [1]}}}\n",
            "3:10: tuning.objective: the data has no class '11'. "
            "Available: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9. Did you mean '1'?",
        ),
        (
            DATA + MODEL + "training: {early_stopping: {monitor: val_top_3_accuracy}}\n",
            "3:29: training.early_stopping.monitor: val_top_3_accuracy needs training.top_k: 3. "
            "Received null.",
        ),
        (
            DATA + MODEL + "training: {early_stopping: {monitor: val_recall/x}}\n",
            "3:29: training.early_stopping.monitor: the data has no class 'x'. Available: 0, 1, 2, "
            "3, 4, 5, 6, 7, 8, 9.",
        ),
        (
            DATA + MODEL + "training: {loss: {binary_focal_cross_entropy: {}}}\n",
            "3:12: training.loss: binary_focal_cross_entropy needs two classes. The data has 10.",
        ),
        (
            DATA + MODEL + "training: {class_weight: {7: 2, seven: 3}}\n",
            "3:33: training.class_weight.seven: the data has no such class. Available: "
            "0, 1, 2, 3, 4, 5, 6, 7, 8, 9.",
        ),
        (
            ALL_TRAINED + MODEL + "training: {early_stopping: {patience: null}}\n",
            "3:12: training.early_stopping: needs a validation split, and data.validation: 0 "
            "leaves none. Remove this section, or set data.validation above 0.",
        ),
        (
            ALL_TRAINED + MODEL + "optimizer: {schedule: {plateau: {}}}\n",
            "3:13: optimizer.schedule: plateau needs a validation split, and data.validation: 0 "
            "leaves none. Choose another schedule, or set data.validation above 0.",
        ),
        (
            ALL_TRAINED + MODEL + "tuning:\n  space: {model.hidden: {choice: [[], [8]]}}\n",
            "3:1: tuning.objective: val_accuracy needs a validation split, and data.validation: 0 "
            "leaves none. Set data.validation above 0.",
        ),
        (
            ALL_TRAINED.replace("}", ", test: 0}")
            + MODEL
            + "tracking: {register: digits, promote: better}\n",
            "3:30: tracking.promote: needs a test split, which chose nothing, and the data has "
            "none. Set data.test above 0, or compare on the split that chose the epoch: "
            "tracking.promote_on: validation.",
        ),
        (
            ALL_TRAINED
            + MODEL
            + "tracking: {register: digits, promote: better, promote_on: validation}\n",
            "3:47: tracking.promote_on: validation needs a validation split, and "
            "data.validation: 0 leaves none. Set tracking.promote_on: test, or set "
            "data.validation above 0.",
        ),
        (
            DATA + MODEL + "tracking: {promote: better}\n",
            "3:12: tracking.promote: needs tracking.register, the name of the model.",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_an_error(
    problems: Problems, text: str, problem: str
) -> None:
    assert problems(text) == [f"recipe.yaml:{problem}"]


@pytest.mark.parametrize(
    "text",
    [
        VGG + "training: {fine_tune: {from: 3}}\n",
        DATA + MODEL + "training: {top_k: 9}\n",
        "data: {source: digits, image_size: [32, 32]}\nmodel: {architecture: lenet}\n",
        VGG,
        "data: {source: digits, augmentation: [random_crop: {height: 8, width: 8}]}\n" + MODEL,
        DATA + MODEL + "optimizer: {schedule: {cosine: {warmup: 9.5}}}\n",
        DATA + MODEL + "optimizer: {schedule: {plateau: {}}}\n",
        DATA + MODEL + "optimizer: {clipvalue: 1}\n",
        DATA + MODEL + "optimizer: {name: ftrl, initial_accumulator_value: 0, beta: 1}\n",
        DATA + MODEL + "training: {top_k: 3}\n"
        "tuning: {objective: val_top_3_accuracy, space: {seed: {choice: [1]}}}\n",
        DATA + MODEL + "tuning: {objective: val_f1/9, space: {seed: {choice: [1]}}}\n",
        ALL_TRAINED
        + MODEL
        + "tracking: {register: digits, promote: better}\n",  # by the test images
        DATA.replace("}", ", test: 0}")
        + MODEL
        + "tracking: {register: digits, promote: better, promote_on: validation}\n",
        DATA + "model: {architecture: lenet}\n"
        "regularization: {batch_norm: true, dropout: 0.5, l2: 0.1}\n",
        VGG + "regularization: {dropout: 0.5}\n",
    ],
)
def test_the_last_value_that_fits_is_valid(loaded: Loaded, text: str) -> None:
    assert loaded(text).warnings == ()


def test_classes_are_counted_in_a_directory_with_class_directories(
    problems: Problems, tmp_path: Path
) -> None:
    class_folders(tmp_path / "photographs", "ant", "bee", "wasp", ".hidden")
    text = "data: {source: image_folder, path: photographs}\n" + MODEL + "training: {top_k: 3}\n"
    assert problems(text) == [
        "recipe.yaml:3:12: training.top_k: expected less than the number of classes, 3. Received 3."
    ]


def test_classes_are_counted_in_a_directory_with_splits(
    problems: Problems, loaded: Loaded, tmp_path: Path
) -> None:
    class_folders(tmp_path / "photographs", "train/ant", "train/bee", "val/ant", "val/bee")
    text = "data: {source: image_folder, path: photographs}\n" + MODEL
    recipe = loaded(text + "training: {loss: binary_cross_entropy}\n").recipe
    output = recipe.task.output_layer(2, recipe.training.loss, np.array([0, 1]), (8,))
    assert output.activation == "sigmoid"
    assert problems(text + "training: {loss: binary_cross_entropy, top_k: 2}\n") == [
        "recipe.yaml:3:40: training.top_k: expected less than the number of classes, 2. "
        "Received 2.",
        "recipe.yaml:3:40: training.top_k: cannot be used with binary_cross_entropy. "
        "Remove this key.",
    ]


def test_two_directories_for_one_split_are_an_error(problems: Problems, tmp_path: Path) -> None:
    class_folders(tmp_path / "photographs", "train/ant", "val/ant", "valid/ant")
    (problem,) = problems("data: {source: image_folder, path: photographs}\n" + MODEL)
    assert problem.startswith("recipe.yaml:1:30: data.path: val and valid in ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "data: {source: image_folder, path: absent}\n" + MODEL,
            "1:30: data.path: the directory absent does not exist, and data.download is not set.",
        ),
        (
            "data: {source: mnist, path: absent.npz}\n" + MODEL,
            "1:23: data.path: the file absent.npz does not exist.",
        ),
        (
            'data: {source: mnist, path: "two\\nlines"}\n' + MODEL,
            "1:23: data.path: the file two\\nlines does not exist.",
        ),
        (
            VGG.replace("VGG16", "absent.keras"),
            "2:33: model.base: the file absent.keras does not exist.",
        ),
        (
            VGG.replace("VGG16", "VGG16, weights: absent.h5"),
            "2:46: model.weights: the file absent.h5 does not exist.",
        ),
        (
            f"data: {{source: image_folder, path: {'x' * 300}}}\n" + MODEL,
            f"1:30: data.path: the directory {'x' * 300} does not exist, and "
            "data.download is not set.",
        ),
        (
            f"data: {{source: mnist, path: {'x' * 300}}}\n" + MODEL,
            f"1:23: data.path: the file {'x' * 300} does not exist.",
        ),
    ],
    ids=["folder", "npz", "two lines", "base", "weights", "long folder", "long npz"],
)
def test_a_missing_file_is_an_error(problems: Problems, text: str, problem: str) -> None:
    assert problems(text) == [f"recipe.yaml:{problem}"]


def test_a_missing_directory_that_can_be_downloaded_is_not_an_error(loaded: Loaded) -> None:
    download = f"{{url: 'https://host/a.zip', sha256: '{'0' * 64}'}}"
    text = f"data: {{source: image_folder, path: absent, download: {download}}}\n{MODEL}"
    assert loaded(text).recipe.data.download.url == "https://host/a.zip"


def test_weights_for_a_base_from_a_file_are_an_error(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "base.keras").touch()
    assert problems(VGG.replace("VGG16", "base.keras, weights: null")) == [
        "recipe.yaml:2:51: model.weights: base.keras contains its own weights. Remove this key, as "
        "with --set model.weights=."
    ]


def test_cross_checks_are_reported_together_with_misspelt_keys(problems: Problems) -> None:
    text = """\
data: {source: digits, image_size: [40, 40], batchsize: 3}
model: {architecture: lenet, activation: rlu}
optimizer: {schedule: {cosine: {warmup: 5, alhpa: 0}}, clipnorm: 1, clipvalue: 1}
training: {epochs: 4, top_k: 10, fine_tune: {from: 3}}
"""
    assert [problem.split(": ")[:3] for problem in problems(text)] == [
        [
            "recipe.yaml:1:24",
            "data.image_size",
            "lenet accepts at most [32, 32]. Received [40, 40].",
        ],
        ["recipe.yaml:1:46", "data.batchsize", "unknown key. Expected one of"],
        ["recipe.yaml:2:30", "model.activation", "expected one of"],
        [
            "recipe.yaml:3:13",
            "optimizer.schedule",
            "expected a warmup shorter than training.epochs, 4. Received 5.0.",
        ],
        ["recipe.yaml:3:44", "optimizer.schedule.cosine.alhpa", "unknown key. Expected one of"],
        [
            "recipe.yaml:3:69",
            "optimizer.clipvalue",
            "cannot be used together with clipnorm. Remove one of them.",
        ],
        [
            "recipe.yaml:4:23",
            "training.top_k",
            "expected less than the number of classes, 10. Received 10.",
        ],
        [
            "recipe.yaml:4:34",
            "training.fine_tune",
            "needs a model with a frozen base, model.architecture",
        ],
    ]


def test_cross_checks_are_reported_together_with_wrong_list_items(
    problems: Problems,
) -> None:
    text = (
        DATA
        + "model: {architecture: mlp, hidden: [1, 2, 3, 4, 5, 6, 7, 8, 9, x, y]}\n"
        + "training: {top_k: 10}\n"
    )
    assert problems(text) == [
        "recipe.yaml:2:64: model.hidden.9: expected an integer, 1 or more. Received 'x'.",
        "recipe.yaml:2:67: model.hidden.10: expected an integer, 1 or more. Received 'y'.",
        "recipe.yaml:3:12: training.top_k: expected less than the number of classes, 10. "
        "Received 10.",
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            DATA + MODEL + "optimizer: {schedule: {cosine: {warmup: 12}}}\n"
            "training: {epochs: twenty}\n",
            "training.epochs",
        ),
        (
            DATA + MODEL + "optimizer: {schedule: {cosine: {warmup: 12}}}\ntraining: {epoch: 20}\n",
            "training.epoch",
        ),
        (
            DATA + MODEL + "training: {topk: 3}\n"
            "tuning: {objective: val_top_3_accuracy, space: {seed: {choice: [1]}}}\n",
            "training.topk",
        ),
        (
            "data: {source: digits, image_size: [64], augmentation: "
            "[random_crop: {height: 32, width: 32}]}\n" + MODEL,
            "data.image_size",
        ),
        (
            "data: {source: digits, size: [64, 64]}\n"
            "model: {architecture: transfer, base: VGG16}\n",
            "data.size",
        ),
    ],
)
def test_a_default_in_place_of_an_invalid_value_is_not_cross_checked(
    problems: Problems, text: str, path: str
) -> None:
    (problem,) = problems(text)
    assert problem.split(": ")[1] == path


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "random_flip: {}",
            "random_flip: a flip can change the class of these images, as it does for digits.",
        ),
        (
            "random_flip: {mode: horizontal_and_vertical}",
            "random_flip: a flip can change the class of these images, as it does for digits.",
        ),
        (
            "random_rotation: {factor: [-0.5, 0.1]}",
            "random_rotation: a rotation by 0.5 of a full turn can change the class of these "
            "images, as it turns a 6 into a 9.",
        ),
    ],
)
@pytest.mark.parametrize("source", ["digits", "mnist"])
def test_flipping_or_rotating_digits_is_a_warning(
    loaded: Loaded, tmp_path: Path, source: str, entry: str, message: str
) -> None:
    text = f"{MODEL}data:\n  source: {source}\n  augmentation:\n    - {entry}\n"
    assert [str(warning) for warning in loaded(text).warnings] == [
        f"{tmp_path}/recipe.yaml:5:7: data.augmentation.0.{message}"
    ]


@pytest.mark.parametrize("entry", ["random_rotation: {factor: 0.2}", "random_zoom: {}"])
def test_a_small_rotation_of_digits_is_not_a_warning(loaded: Loaded, entry: str) -> None:
    text = f"{MODEL}data:\n  source: digits\n  augmentation:\n    - {entry}\n"
    assert loaded(text).warnings == ()


def test_flipping_photographs_is_not_a_warning(loaded: Loaded, tmp_path: Path) -> None:
    class_folders(tmp_path / "photographs", "ant", "bee")
    text = "data: {source: image_folder, path: photographs, augmentation: [random_flip: {}]}\n"
    assert loaded(text + MODEL).warnings == ()


def test_a_given_validation_split_is_enough_for_early_stopping(tmp_path: Path) -> None:
    class_folders(tmp_path / "images", "train/ants", "train/bees", "val/ants", "val/bees")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "data: {source: image_folder, path: images, validation: 0}\n"
        + MODEL
        + "training: {early_stopping: {}}\n"
    )
    assert [str(warning) for warning in load_recipe(path, environment={}).warnings] == [
        f"{path}:1:44: data.validation: has no effect: the data has its own val split."
    ]


def test_a_fraction_without_effect_beside_a_split_directory_is_a_warning(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("ants", "bees"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "data: {source: image_folder, path: images, validation: 0.3}\nmodel: {architecture: mlp}\n"
    )
    assert [str(warning) for warning in load_recipe(path, environment={}).warnings] == [
        f"{path}:1:44: data.validation: has no effect: the data has its own val split."
    ]


def test_random_weights_of_a_frozen_base_are_a_warning(loaded: Loaded, tmp_path: Path) -> None:
    text = VGG.replace("VGG16", "VGG16, weights: null")
    assert [str(warning) for warning in loaded(text).warnings] == [
        f"{tmp_path}/recipe.yaml:2:46: model.weights: the base is frozen with random weights: the "
        "head learns from random features. Set imagenet, the path of a .weights.h5 file, or "
        "model.train_base: true."
    ]


def test_the_classes_of_weights_are_those_of_the_directory(
    problems: Problems, tmp_path: Path
) -> None:
    class_folders(tmp_path / "photographs", "ants", "bees")
    data = "data: {source: image_folder, path: photographs}\n"
    assert problems(data + MODEL + "training: {class_weight: {ant: 2}}\n") == [
        "recipe.yaml:3:27: training.class_weight.ant: the data has no such class. Available: "
        "ants, bees. Did you mean 'ants'?"
    ]


def test_balanced_weights_with_balanced_sampling_are_a_warning(
    loaded: Loaded, tmp_path: Path
) -> None:
    text = "data: {source: digits, sampling: balanced}\n" + MODEL
    assert [
        str(warning) for warning in loaded(text + "training: {class_weight: balanced}\n").warnings
    ] == [
        f"{tmp_path}/recipe.yaml:3:12: training.class_weight: has no effect with "
        "data.sampling: balanced. Remove one of them."
    ]
    assert loaded(text + "training: {class_weight: {3: 2}}\n").warnings == ()


def test_splits_with_different_classes_are_an_error_without_loading(tmp_path: Path) -> None:
    for name in ("train/ants", "train/bees", "val/ants", "val/bee"):
        (tmp_path / "images" / name).mkdir(parents=True)
    path = tmp_path / "recipe.yaml"
    path.write_text("data: {source: image_folder, path: images}\nmodel: {architecture: mlp}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, environment={})
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}:1:30: data.path: the classes in {tmp_path}/images/val differ from those in "
        f"{tmp_path}/images/train. Missing: bees. Unexpected: bee. Expected: ants, bees."
    ]


SCENES = "data: {source: table, task: multi_label, path: labels.csv, image_size: [8, 8]%s}\n"


@pytest.fixture
def scenes(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,label\n1.jpg,sea|sun\n2.jpg,sea\n")
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).touch()


@pytest.mark.usefixtures("scenes")
@pytest.mark.parametrize(
    ("data", "training", "problem"),
    [
        (
            ", sampling: balanced",
            "epochs: 1",
            "1:80: data.sampling: needs images of one class each, and data.task is multi_label. "
            "Remove this key.",
        ),
        (
            "",
            "class_weight: balanced",
            "3:12: training.class_weight: needs images of one class each, and data.task is "
            "multi_label. Remove this key.",
        ),
        (
            "",
            "top_k: 2",
            "3:12: training.top_k: needs images of one class each, and data.task is multi_label. "
            "Remove this key.",
        ),
        (
            "",
            "loss: cross_entropy",
            "3:12: training.loss: expected one of: binary_cross_entropy, "
            "binary_focal_cross_entropy, asymmetric_cross_entropy, for data.task: multi_label. "
            "Received cross_entropy.",
        ),
        (
            "",
            "early_stopping: {monitor: val_accuracy}",
            "3:29: training.early_stopping.monitor: expected one of: val_mean_average_precision, "
            "val_f1_macro, val_f1_micro, val_log_loss, val_precision_macro, val_precision_micro, "
            "val_recall_macro, val_recall_micro, val_exact_match, val_hamming_loss, "
            "val_average_precision/CLASS, val_precision/CLASS, val_recall/CLASS, val_f1/CLASS. "
            "Received 'val_accuracy'.",
        ),
        (
            "",
            "early_stopping: {monitor: val_f1/fog}",
            "3:29: training.early_stopping.monitor: the data has no class 'fog'. Available: sea, "
            "sun.",
        ),
    ],
)
def test_what_several_labels_exclude_is_an_error(
    problems: Problems, data: str, training: str, problem: str
) -> None:
    text = SCENES % data + MODEL + f"training: {{{training}}}\n"
    assert problems(text) == [f"recipe.yaml:{problem}"]


@pytest.mark.usefixtures("scenes")
def test_defaults_are_those_of_the_task(loaded: Loaded) -> None:
    space = "tuning: {space: {seed: {choice: [1]}}}\n"
    recipe = loaded(SCENES % "" + MODEL + space).recipe
    assert recipe.training.loss == "binary_cross_entropy"
    assert recipe.tuning.objective == "val_mean_average_precision"
    given = "training: {loss: asymmetric_cross_entropy}\n"
    assert loaded(SCENES % "" + MODEL + given).recipe.training.loss == "asymmetric_cross_entropy"
    assert loaded(SCENES % "" + MODEL).recipe.tuning is None


def test_a_source_has_labels_for_some_tasks(problems: Problems) -> None:
    assert problems("data: {source: digits, task: multi_label}\n" + MODEL) == [
        "recipe.yaml:1:24: data.task: the source digits has labels for classification, "
        "reconstruction. Received multi_label."
    ]


@pytest.mark.parametrize(
    ("tuning", "warning"),
    [
        (
            "tuner: hyperband",
            "is for each trial, and hyperband compares trials after the same number of epochs: "
            "those that the budget ends are at a disadvantage.",
        ),
        (
            "budget: 10m",
            "is for each trial, and not below tuning.budget, 10m: the search may end after one "
            "trial.",
        ),
    ],
)
def test_a_time_budget_that_does_not_fit_the_search_is_a_warning(
    loaded: Loaded, tmp_path: Path, tuning: str, warning: str
) -> None:
    text = DATA + MODEL + "training: {epochs: 20, budget: 10m}\n"
    text += f"tuning: {{{tuning}, space: {{model.activation: {{choice: [relu, tanh]}}}}}}\n"
    assert [str(each).replace(f"{tmp_path}/", "") for each in loaded(text).warnings] == [
        f"recipe.yaml:3:24: training.budget: {warning}"
    ]


def test_no_time_is_no_budget(problems: Problems) -> None:
    assert problems(DATA + MODEL + "training: {budget: 0s}\n") == [
        "recipe.yaml:3:12: training.budget: expected a duration such as 90s, 10m or 1h30m. "
        "Received '0s'."
    ]
