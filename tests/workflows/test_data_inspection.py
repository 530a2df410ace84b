"""The inspection of a directory or a recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.data.image_folder import ImageFolderConfig
from pipeline.errors import UsageError
from pipeline.workflows.data_inspection import inspect


@pytest.fixture
def digit_folder(tmp_path: Path) -> Path:
    """Forty zeros and ten ones, one of them twice and one damaged."""
    digits, counts = load_digits(), {"zero": 40, "one": 10}
    for label, (name, count) in enumerate(counts.items()):
        (tmp_path / "digits" / name).mkdir(parents=True)
        for number, pixels in enumerate(digits.images[digits.target == label][:count]):
            image = Image.fromarray((pixels * 15).astype("uint8"))
            image.save(tmp_path / "digits" / name / f"{number:02}.png")
    copy = (tmp_path / "digits" / "zero" / "00.png").read_bytes()
    (tmp_path / "digits" / "zero" / "copy.png").write_bytes(copy)
    (tmp_path / "digits" / "one" / "99.png").write_bytes(copy[:60])
    return tmp_path / "digits"


def test_a_directory_is_described_in_a_terminal(digit_folder: Path) -> None:
    text = str(inspect(digit_folder))
    assert text.splitlines() == [
        f"{digit_folder}: 51 images of 2 classes",
        "",
        "class  train  val (drawn)",
        "one        8            2",
        "zero      33            8",
        "total     41           10",
        "",
        "width          8 pixels",
        "height         8 pixels",
        "aspect ratio   1.00 (width / height)",
        "most frequent  8×8, 51 images",
        "formats        PNG 51",
        "modes          L 51",
        "gray           100% of the images",
        "unreadable     1 files",
        "ignored        none",
        "duplicates     1 × same file",
        "imbalance      4.1 (largest class / smallest)",
        "",
        "Findings:",
        "- 1 of 52 image files cannot be decoded: one/99.png (image file is truncated). "
        "Repair or remove it.",
        "- 1 picture is repeated in a class: zero/00.png = zero/copy.png. One copy of each is "
        "enough.",
        "- zero has 4.1 times as many training images as one. Set training.class_weight: "
        "balanced, and judge the model by its balanced accuracy.",
    ]


def test_a_split_that_a_run_would_refuse_is_found(digit_folder: Path) -> None:
    (digit_folder / "two").mkdir()
    assert inspect(digit_folder).findings[0] == (
        f"data.path: the train split of {digit_folder} has no images of two. Add images."
    )


def test_everything_is_there_as_json(digit_folder: Path) -> None:
    values = json.loads(json.dumps(inspect(digit_folder).to_dict()))
    assert values["path"] == str(digit_folder)
    assert values["images"] == 51
    assert values["classes"] == {"one": {"train": 8, "val": 2}, "zero": {"train": 33, "val": 8}}
    assert values["sizes"]["width"] == {"lowest": 8.0, "median": 8.0, "highest": 8.0}
    assert values["unreadable"][0]["name"] == "one/99.png"
    assert values["copies"][0]["kind"] == "same file"
    assert len(values["findings"]) == 3


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a.png", "b.png"], "data.path: expected subdirectories for two or more classes in "),
        (["cats/a.png", "cats/b.png"], "data.path: expected subdirectories for two or more "),
        ([], "data.path: expected subdirectories for two or more classes in "),
        (
            ["train/cats/a.png", "train/dogs/b.png", "val/cats/c.png", "val/birds/d.png"],
            "data.path: the classes in ",
        ),
    ],
    ids=["bare images", "one class", "empty", "other classes in val"],
)
def test_a_directory_that_is_no_data_set_is_described_all_the_same(
    tmp_path: Path, names: list[str], problem: str
) -> None:
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), (number * 40, 0, 0)).save(tmp_path / name)
    inspection = inspect(tmp_path)
    assert inspection.findings[0].startswith(problem)
    assert inspection.statistics.images == len(names)
    directories = {Path(name).parent.as_posix() for name in names}
    assert set(inspection.statistics.class_names) == directories
    assert str(inspection).startswith(
        f"{tmp_path}: {len(names)} images of {len(directories)} class"
    )


def test_hostile_names_stay_on_their_line(tmp_path: Path) -> None:
    for name in ("a\nb", "<b>bold"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (30, 20)).save(tmp_path / name / "a.png")
    inspection = inspect(tmp_path)
    assert "a\\nb " in str(inspection)
    assert "&lt;b&gt;bold" in inspection._repr_html_()
    assert "<b>bold" not in inspection._repr_html_()


def test_a_recipe_is_inspected_with_its_own_splits(digit_folder: Path) -> None:
    recipe = digit_folder.parent / "recipe.yaml"
    recipe.write_text(
        "data: {source: image_folder, path: digits, validation: 0.1, test: 0.3, max_bad: 0.1}\n"
        "model: {architecture: transfer, base: MobileNetV2}\n"
    )
    inspection = inspect(recipe, {"data.validation": 0.5})
    counts = {name: sum(count) for name, count in inspection.statistics.counts.items()}
    assert counts == {"train": 10, "val": 26, "test": 15}
    assert inspection.recipe
    assert isinstance(inspection.recipe.data, ImageFolderConfig)
    assert inspection.recipe.data.image_size == (224, 224)


def test_a_recipe_whose_images_are_in_memory_is_inspected(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {source: digits}\nmodel: {architecture: mlp}\n")
    assert inspect(recipe).summary == "1,797 images of 10 classes"


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the file does not exist"):
        inspect(tmp_path / "none")


def test_an_inspection_needs_no_tensorflow(digit_folder: Path) -> None:
    code = (
        "import sys, pipeline; pipeline.inspect(sys.argv[1]); "
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'matplotlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(digit_folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_a_notebook_shows_the_classes(digit_folder: Path) -> None:
    page = inspect(digit_folder)._repr_html_()
    assert "<tr><td>zero</td><td>33</td><td>8</td></tr>" in page
