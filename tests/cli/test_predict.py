from __future__ import annotations

import contextlib
import csv
import shutil
import tarfile
from pathlib import Path

import pytest
from pyarrow import parquet

from pipeline.cli import main
from pipeline.inference import model_interface
from pipeline.workflows import view_averaging
from pipeline.workflows.single_run import RunResult

AUGMENTED = """
data: {source: digits, augmentation: [{random_translation: {}}, {mix_up: {}}]}
model: {architecture: mlp}
"""


def test_the_table_has_one_row_per_file(
    digits_run: RunResult, digit_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "predictions.csv"
    arguments = ["predict", "digits", str(digit_files), "--top", "2", "-o", str(table)]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    header, *rows = csv.reader(table.read_text().splitlines())
    assert header == ["file", "class_1", "probability_1", "class_2", "probability_2", "error"]
    assert [row[0] for row in rows] == [str(path) for path in sorted(digit_files.iterdir())]
    assert sum(Path(row[0]).stem[-1] == row[1] for row in rows) > 90
    assert all(float(row[2]) >= float(row[4]) for row in rows)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(
        f"Using the model of run digits ({digits_run.run_id})\nPredicted 100 images in "
    )


def test_a_broken_file_is_a_row_with_an_error_and_the_exit_code_is_1(
    digits_run: RunResult, digit_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, broken = tmp_path / "good.png", tmp_path / "broken.png"
    shutil.copy(digit_files / "000_0.png", good)
    broken.write_bytes(b"no image")
    arguments = ["predict", "latest", str(broken), str(good), "--top", "1"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 1
    captured = capsys.readouterr()
    header, first, second = csv.reader(captured.out.splitlines())
    assert header == ["file", "class_1", "probability_1", "error"]
    assert first == [str(broken), "", "", "not an image, or of a format that is not supported"]
    assert (second[1], second[3]) == ("0", "")
    assert captured.err.endswith("WARNING: 1 image could not be read. See the column `error`.\n")


def test_a_missing_path_is_an_error_before_anything_is_loaded(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "latest", "absent.jpg"]) == 2
    assert capsys.readouterr().err == "Error: No such file: absent.jpg\n"
    assert not Path("mlruns").exists()


def test_the_prediction_sets_of_a_confidence_level_are_a_column(
    digits_run: RunResult, digit_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "digits", str(digit_files), "--top", "1", "--confidence-level", "0.95"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert header == ["file", "class_1", "probability_1", "prediction_set", "error"]
    sets = [row[3].split("|") if row[3] else [] for row in rows]
    covered = [Path(row[0]).stem[-1] in classes for row, classes in zip(rows, sets, strict=True)]
    assert sum(covered) >= 90
    assert all(classes[0] == row[1] for row, classes in zip(rows, sets, strict=True) if classes)


def test_prediction_sets_of_a_run_without_test_images_are_an_error(
    digits_run: RunResult,
    digit_files: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_interface, "_conformal", lambda content: None)
    arguments = ["predict", "digits", str(digit_files), "--confidence-level", "0.9"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 2
    assert capsys.readouterr().err == (
        "Error: The model has no prediction sets, because it was trained without a test split, "
        "which calibrate them. Set data.test in the recipe, such as --set data.test=0.2, and run "
        "it again.\n"
    )


def test_an_interrupted_prediction_leaves_the_old_table(
    digits_run: RunResult, digit_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text("the old one")

    def interrupted(self: object, path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model_interface.ModelInterface, "read", interrupted)
    arguments = ["predict", "digits", str(digit_files), "-o", str(table)]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 130
    assert table.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [table]


def test_a_table_that_cannot_be_written_is_an_error(
    digits_run: RunResult, digit_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "absent" / "predictions.csv"
    arguments = ["predict", "digits", str(digit_files), "-o", str(table)]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 2
    assert capsys.readouterr().err.endswith(
        f"{table} cannot be written: No such file or directory.\n"
    )


def test_views_need_a_recipe_with_augmentation(
    digits_run: RunResult, digit_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "digits", str(digit_files), "--views", "4"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: views need data.augmentation, which random views are made by, and the recipe of "
        f"the run digits ({digits_run.run_id}) has none. Predict without views, or run the "
        "recipe with augmentation."
    )


def test_the_table_says_how_many_views_were_averaged(
    digits_run: RunResult,
    digit_files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(AUGMENTED)
    monkeypatch.setattr(
        view_averaging, "recipe_of", lambda store, model: contextlib.nullcontext(recipe)
    )
    arguments = ["predict", "digits", str(digit_files), "--top", "1", "--views", "4"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    captured = capsys.readouterr()
    header, *rows = csv.reader(captured.out.splitlines())
    assert header == ["file", "class_1", "probability_1", "views", "error"]
    assert {row[3] for row in rows} == {"4"}
    assert sum(Path(row[0]).stem[-1] == row[1] for row in rows) > 80
    assert captured.err.splitlines()[1] == (
        "Each output is the mean over 4 views of an image, itself and 3 by data.augmentation: "
        "random_translation"
    )


def test_views_have_no_prediction_sets(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["predict", "latest", "a.jpg", "--views", "2", "--confidence-level", "0.9"]
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        "Error: Several views and a confidence level cannot be used together: the prediction sets "
        "are calibrated for the outputs of single images. Leave out one of them.\n"
    )


@pytest.fixture
def digit_shards(digit_files: Path, tmp_path: Path) -> str:
    """The pattern of two tar files of five digits each."""
    files = sorted(digit_files.iterdir())
    for number in range(2):
        with tarfile.open(tmp_path / f"digits-{number}.tar", "w") as archive:
            for file in files[number * 5 : number * 5 + 5]:
                archive.add(file, f"{number}/{file.name}")
    return str(tmp_path / "digits-{0..1}.tar")


def test_the_images_in_tar_files_are_rows(
    digits_run: RunResult, digit_shards: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "digits", digit_shards, "--top", "1"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert header == ["file", "image", "key", "class_1", "probability_1", "error"]
    assert len(rows) == 10
    assert rows[9][0].endswith("digits-1.tar")
    assert rows[9][1:3] == ["1/009_9.png", "1/009_9"]


def test_a_table_in_parquet_has_typed_columns(
    digits_run: RunResult, digit_shards: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "predictions.parquet"
    arguments = ["predict", "digits", digit_shards, "--top", "1", "-o", str(table)]
    options = ["--confidence-level", "0.9", "--uri", digits_run.tracking_uri]
    assert main([*arguments, *options]) == 0
    found = parquet.read_table(table)
    types = {name: str(found.schema.field(name).type) for name in found.column_names}
    assert types == {
        "file": "string",
        "image": "string",
        "key": "string",
        "class_1": "string",
        "probability_1": "double",
        "prediction_set": "list<element: string>",
        "error": "string",
    }
    answers = zip(found["class_1"].to_pylist(), "0123456789", strict=True)
    assert sum(answer == digit for answer, digit in answers) > 7
    assert capsys.readouterr().out == ""


def test_a_directory_gets_a_part_for_each_tar_file(
    digits_run: RunResult, digit_shards: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = f"{tmp_path}/predictions/"
    arguments = ["predict", "digits", digit_shards, "-o", output, "--uri", digits_run.tracking_uri]
    assert main(arguments) == 0
    assert len(parquet.read_table(output)) == 10
    assert len(list(Path(output).glob("part-*.parquet"))) == 2
    messages = capsys.readouterr().err.splitlines()
    assert messages[1] == f"{output} has 10 predictions in 2 parts."
    assert messages[2].startswith("Predicted 10 images in ")
    assert main([*arguments, "--top", "1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"Error: {output.rstrip('/')} has predictions by another command: top differs. Name "
        "another directory with --output, or give the same command again to resume that one."
    )


def test_several_processes_need_a_directory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "latest", "s3://bucket/a.tar", "--workers", "2"]) == 2
    assert capsys.readouterr().err == (
        "Error: --cluster and --workers need a directory that the processes write to. Add --output "
        "with a directory that ends in /, or an address such as s3://bucket/predictions/.\n"
    )


def test_the_parts_of_a_directory_may_be_means_over_views(
    digits_run: RunResult, digit_shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(AUGMENTED)
    monkeypatch.setattr(
        view_averaging, "recipe_of", lambda store, model: contextlib.nullcontext(recipe)
    )
    arguments = ["predict", "digits", digit_shards, "-o", f"{tmp_path}/out/", "--views", "2"]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    table = parquet.read_table(tmp_path / "out")
    assert set(table["views"].to_pylist()) == {2}
