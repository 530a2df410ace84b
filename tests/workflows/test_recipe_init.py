"""A recipe that fits a directory of images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.errors import DataError, UsageError
from pipeline.models.transfer import TransferConfig
from pipeline.recipe.loader import load_recipe
from pipeline.workflows.recipe_init import init
from pipeline.workflows.single_run import run


def noise(root: Path, counts: Mapping[str, int], size: tuple[int, int] = (120, 90)) -> Path:
    """Write images of noise, `counts` of them to each directory."""
    generator = np.random.default_rng(0)
    for directory, count in counts.items():
        (root / directory).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 255, (size[1] // 10, size[0] // 10, 3), np.uint8)
            image = Image.fromarray(pixels).resize(size)
            image.save(root / directory / f"image{number}.png")
    return root


def test_a_recipe_for_photographs_is_valid_and_relative(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(photographs)
    created = init(tmp_path / "images", tmp_path / "recipes" / "insects.yaml")
    assert str(created).splitlines()[-1] == f"Next: pipeline run {created.path}"
    text = created.path.read_text()
    assert "\n  path: ../images\n" in text
    assert text.startswith("# Written by `pipeline init` for 398 images of 2 classes in\n")
    loaded = load_recipe(created.path)
    assert loaded.warnings == ()
    assert loaded.recipe.name == "hymenoptera_data"
    assert isinstance(loaded.recipe.model, TransferConfig)
    assert loaded.recipe.model.base == "MobileNetV2"


def test_every_value_of_the_data_and_the_training_has_a_reason(tmp_path: Path) -> None:
    created = init(noise(tmp_path / "images", {"a b": 20, "c d": 20}), tmp_path / "my recipe.yaml")
    assert str(created).splitlines()[-1] == f"Next: pipeline run '{created.path}'"
    for choice in created.choices:
        if choice.key.startswith(("data.", "training.")) and choice.key != "data.source":
            assert choice.reason, choice.key
    lines = created.path.read_text().splitlines()
    assert max(map(len, lines)) <= 100


def test_tiny_images_are_learned_by_the_recipe_as_it_is(
    tmp_path: Path, in_empty_folder: Path
) -> None:
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label in (0, 1, 7) and number < 900:
            directory = tmp_path / "digits" / str(label)
            directory.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15).astype(np.uint8)).save(directory / f"{number}.png")
    created = init(tmp_path / "digits", tmp_path / "recipe.yaml")
    result = run(load_recipe(created.path, {"training.epochs": 12}))
    assert result.metrics["test_accuracy"] > 0.9


def test_the_classes_of_patients_are_drawn_by_patient(tmp_path: Path) -> None:
    folders = {f"{name}/patient{i}": 3 for name in ("ill", "well") for i in range(12)}
    created = init(noise(tmp_path / "images", folders), tmp_path / "recipe.yaml")
    assert "  group_by: {level: 1}\n" in created.path.read_text()
    validation = load_recipe(created.path).recipe.data.load().named()["val"]
    patients = [name.rpartition("/")[0] for name in validation.names]
    assert {patients.count(patient) for patient in patients} == {3}


def test_damaged_files_do_not_stop_the_recipe(tmp_path: Path) -> None:
    folder = noise(tmp_path / "images", {"ants": 10, "bees": 10})
    for number in range(6):
        (folder / "ants" / f"damaged{number}.jpg").touch()
    created = init(folder, tmp_path / "recipe.yaml")
    assert "  max_bad: 0.24\n" in created.path.read_text()
    assert len(load_recipe(created.path).recipe.data.load().quarantined) == 6
    assert str(created).splitlines()[1:3] == [
        "Findings:",
        "- 6 of 26 image files cannot be decoded: ants/damaged0.jpg (the file is empty), "
        "ants/damaged1.jpg (the file is empty), ants/damaged2.jpg (the file is empty) and 3 more. "
        "Repair or remove them.",
    ]


def test_a_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    folder, output = noise(tmp_path / "images", {"a1": 9, "b1": 9}), tmp_path / "recipe.yaml"
    output.write_text("mine")
    message = (
        f"{output} already exists. Choose another file with --output, or replace it with --force."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        init(folder, output)
    assert output.read_text() == "mine"
    init(folder, output, force=True)
    assert load_recipe(output).recipe.name == "images"


def test_given_weights_and_bases_are_used(tmp_path: Path, weights: Path) -> None:
    folder = noise(tmp_path / "images", {"a1": 9, "b1": 9})
    file = weights / "resnet50_imagenet_notop.weights.h5"
    created = init(folder, tmp_path / "a.yaml", base="ResNet50", weights=file)
    model = load_recipe(created.path).recipe.model
    assert isinstance(model, TransferConfig)
    assert model.base == "ResNet50"
    assert file.samefile(model.weights or "")
    keras_file = weights / "resnet18_imagenet.keras"
    created = init(folder, tmp_path / "b.yaml", base=str(keras_file))
    model = load_recipe(created.path).recipe.model
    assert isinstance(model, TransferConfig)
    assert keras_file.samefile(model.base)


@pytest.mark.parametrize(
    ("base", "weights", "message"),
    [
        (
            "MobilNetV2",
            None,
            "--base: expected a network of keras.applications or the path of a .keras file. "
            "Received: MobilNetV2. Did you mean 'MobileNetV2'?",
        ),
        ("none.keras", None, "--base: the file none.keras does not exist."),
        (None, Path("none.h5"), "--weights: the file none.h5 does not exist."),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_read(
    tmp_path: Path, base: str | None, weights: Path | None, message: str
) -> None:
    folder = noise(tmp_path / "images", {"a1": 2, "b1": 2})
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        init(folder, tmp_path / "recipe.yaml", base=base, weights=weights)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"ants": 5}, "data.path: expected subdirectories for two or more classes in {}"),
        (
            {"ants": 1, "bees": 1},
            "data.path: the val split of {}, which is drawn from the training images, is empty: ",
        ),
    ],
)
def test_a_directory_that_cannot_be_trained_on_is_an_error(
    tmp_path: Path, counts: dict[str, int], message: str
) -> None:
    folder = noise(tmp_path / "images", counts)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(folder))}"):
        init(folder, tmp_path / "recipe.yaml")
    assert not (tmp_path / "recipe.yaml").exists()


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    message = f"The directory {tmp_path / 'none'} does not exist."
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        init(tmp_path / "none", tmp_path / "recipe.yaml")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.touch()
    message = (
        f"Expected a directory of images. Received a file, {table}. If it is a table of labels, "
        "write a recipe with data.source: table; if it is an archive, extract it first."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        init(table, tmp_path / "recipe.yaml")


def test_names_are_written_as_comments_and_values_without_harm(tmp_path: Path) -> None:
    folder = noise(tmp_path / "x: ${HOME} # y", {"a\nmodel: {}": 5, "b": 5})
    created = init(folder, tmp_path / "recipe.yaml")
    recipe = load_recipe(created.path, environment={"HOME": "/elsewhere"}).recipe
    assert recipe.name == "x: ${HOME} # y"
    root = recipe.data.image_root
    assert root is not None
    assert root.path == folder
