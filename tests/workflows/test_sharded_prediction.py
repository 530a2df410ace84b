"""Predictions of shards to a directory of Parquet files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

import pipeline
from pipeline.cluster.cluster import Lost
from pipeline.data.address_files import opened_file
from pipeline.errors import DataError, PipelineError, UsageError
from pipeline.storage import Storage
from pipeline.workflows import sharded_prediction
from pipeline.workflows.prediction_parts import Manifest, finished_parts
from pipeline.workflows.sharded_prediction import PredictionResult
from pipeline.workflows.single_run import RunResult

Predict = Callable[..., PredictionResult]


@pytest.fixture(scope="module")
def shards(digit_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 100 digits in four tar files, with their labels beside them."""
    folder = tmp_path_factory.mktemp("shards")
    files = sorted(digit_files.iterdir())
    for number in range(4):
        with tarfile.open(folder / f"digits-{number:03}.tar", "w") as archive:
            for file in files[number * 25 : number * 25 + 25]:
                archive.add(file, file.name)
                archive.add(__file__, f"{file.stem}.txt")
    return folder


@pytest.fixture
def predict(digits_run: RunResult, shards: Path, tmp_path: Path) -> Predict:
    def predict(output: str = "out", *arguments: str, **options: Any) -> PredictionResult:
        return pipeline.predict(
            "digits",
            arguments or f"{shards}/digits-{{000..003}}.tar",
            tmp_path / output,
            tracking_uri=digits_run.tracking_uri,
            **options,
        )

    return predict


@pytest.fixture
def stopped_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, BaseException], None]:
    """What lets the opening of a tar file raise an error."""

    def stop(name: str, error: BaseException) -> None:
        def opened(path: Path) -> Any:
            if name in path.name:
                raise error
            return opened_file(path)

        monkeypatch.setattr("pipeline.data.address_files.opened_file", opened)

    return stop


def rows(directory: Path) -> list[dict[str, Any]]:
    """The rows of all parts, as a reader of such directories has them."""
    return list(dataset.dataset(directory, format="parquet").to_table().to_pylist())


def times(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in directory.glob("part-*")}


def test_each_tar_file_becomes_a_part_with_a_row_for_each_image(
    predict: Predict, digit_files: Path, tmp_path: Path
) -> None:
    result = predict(top=2)
    assert (result.rows, result.parts, result.unit) == (100, 4, "images")
    assert (result.counts.rows, result.counts.errors) == (100, 0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_manifest.json",
        *[f"part-{number:05}.parquet" for number in range(4)],
    ]
    found = rows(tmp_path / "out")
    assert list(found[0]) == [
        *["file", "image", "key", "class_1", "probability_1", "class_2", "probability_2", "error"]
    ]
    assert [row["image"] for row in found] == sorted(file.name for file in digit_files.iterdir())
    assert all(row["image"] == f"{row['key']}.png" and row["error"] is None for row in found)
    assert sum(row["key"][-1] == row["class_1"] for row in found) > 90
    schema = parquet.read_schema(tmp_path / "out/part-00000.parquet")
    assert [schema.field(name).type for name in ("class_1", "probability_1")] == [
        pa.string(),
        pa.float64(),
    ]


def test_an_interrupted_prediction_is_resumed_with_each_image_once(
    predict: Predict,
    tmp_path: Path,
    stopped_at: Callable[[str, BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
    messages: list[str],
) -> None:
    predict("undisturbed")
    stopped_at("digits-002", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        predict()
    assert messages[-1] == "2 of 4 parts are finished. Give the same command again to resume."
    before = times(tmp_path / "out")
    assert sorted(before) == ["part-00000.parquet", "part-00001.parquet"]
    monkeypatch.undo()
    result = predict()
    assert (result.rows, result.counts.rows) == (50, 100)
    assert "2 of 4 parts are there, with 50 images. They are kept." in messages
    assert {name: times(tmp_path / "out")[name] for name in before} == before
    assert rows(tmp_path / "out") == rows(tmp_path / "undisturbed")
    assert predict().rows == 0


def test_a_part_that_is_not_whole_is_predicted_again(predict: Predict, tmp_path: Path) -> None:
    predict()
    expected, before = rows(tmp_path / "out"), times(tmp_path / "out")
    os.truncate(tmp_path / "out/part-00001.parquet", 500)
    shutil.copy(tmp_path / "out/part-00002.parquet", tmp_path / "out/.part-00002.parquet.part")
    assert predict().rows == 25
    after = times(tmp_path / "out")
    assert [name for name in after if after[name] != before[name]] == ["part-00001.parquet"]
    assert rows(tmp_path / "out") == expected


def test_parts_of_another_prediction_are_not_used(predict: Predict, tmp_path: Path) -> None:
    predict("one")
    predict("two", top=1)
    shutil.copy(tmp_path / "two/part-00001.parquet", tmp_path / "one")
    assert predict("one").rows == 25


@pytest.mark.parametrize(("options", "name"), [({"top": 2}, "top"), ({"views": 2}, "views")])
def test_another_command_is_refused(tmp_path: Path, options: dict[str, Any], name: str) -> None:
    written = Manifest({"model": ["1"], "inputs": [], "top": 3, "views": 1}, {"pipeline": "0.1"})
    written.write(Storage(str(tmp_path / "out")))
    with pytest.raises(UsageError) as caught:
        Manifest({**written.compared, **options}, {}).write(Storage(str(tmp_path / "out")))
    assert str(caught.value) == (
        f"{tmp_path}/out has predictions by another command: {name} differs. Name another "
        "directory with --output, or give the same command again to resume that one."
    )


def test_another_model_and_other_inputs_are_refused(
    predict: Predict, tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict()
    with pytest.raises(UsageError, match="by another command: inputs differs"):
        predict("out", f"{shards}/digits-000.tar")
    monkeypatch.setattr(sharded_prediction, "file_digest", lambda path: "another")
    with pytest.raises(UsageError, match="by another command: model differs"):
        predict()
    os.utime(shards / "digits-003.tar")
    with pytest.raises(UsageError, match="by another command: model and inputs differ"):
        predict()


def test_prediction_sets_are_not_of_views(predict: Predict) -> None:
    with pytest.raises(UsageError, match=r"^Several views and a confidence level cannot be used"):
        predict(views=2, confidence_level=0.9)


def test_views_are_one_or_more(predict: Predict) -> None:
    with pytest.raises(UsageError, match=r"^views: expected an integer, 1 or more\. Received 0\.$"):
        predict(views=0)


def test_a_directory_of_other_parquet_files_is_refused(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "out/mine.parquet")
    with pytest.raises(UsageError) as caught:
        predict()
    assert str(caught.value) == (
        f"{tmp_path}/out has Parquet files, and no _manifest.json that says what they were "
        "predicted by. Name another directory with --output."
    )
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_damaged_manifest_is_an_error(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/_manifest.json").write_text("[]")
    with pytest.raises(UsageError, match=r"out has a damaged _manifest\.json"):
        predict()


def test_the_manifest_says_what_was_predicted(
    predict: Predict, digits_run: RunResult, shards: Path, tmp_path: Path
) -> None:
    predict("out", f"{shards}/digits-000.tar", confidence_level=0.9)
    manifest = json.loads((tmp_path / "out/_manifest.json").read_text())
    assert manifest["run"] == f"digits ({digits_run.run_id})"
    assert manifest["arguments"] == [f"{shards}/digits-000.tar"]
    assert [each["file"] for each in manifest["inputs"]] == [f"{shards}/digits-000.tar"]
    assert manifest["confidence_level"] == 0.9
    assert isinstance(rows(tmp_path / "out")[0]["prediction_set"], list)


def test_images_that_cannot_be_read_are_rows_with_an_error(
    predict: Predict, digit_files: Path, tmp_path: Path
) -> None:
    name = os.fsdecode(b"\xff.png")
    (tmp_path / name).write_bytes(b"no image")
    files = sorted(digit_files.iterdir())[:3]
    table = pa.table({"image": [*(file.read_bytes() for file in files), b"no image", None]})
    parquet.write_table(table, tmp_path / "images.parquet")
    arguments = [str(tmp_path / name), str(tmp_path / "images.parquet")]
    result = predict("out", *arguments)
    assert (result.counts.rows, result.counts.errors) == (6, 3)
    found = rows(tmp_path / "out")
    assert found[0]["file"] == f"{tmp_path}/\\xff.png"
    assert [row["line"] for row in found] == [None, 1, 2, 3, 4, 5]
    assert [row["class_1"] for row in found[1:4]] == [file.stem[-1] for file in files]
    bad = "not an image, or of a format that is not supported"
    assert [row["error"] for row in found] == [bad, None, None, None, bad, "the row has no image"]
    counts = finished_parts(
        Storage(str(tmp_path / "out")),
        json.loads((tmp_path / "out/_manifest.json").read_text())["digest"],
    )
    assert sum(part.errors for part in counts.values()) == 3


def test_a_tar_file_that_cannot_be_read_ends_the_prediction(
    predict: Predict, stopped_at: Callable[[str, BaseException], None], messages: list[str]
) -> None:
    stopped_at("digits-003", DataError("s3://bucket/digits-003.tar cannot be read: timeout."))
    with pytest.raises(DataError):
        predict()
    assert messages[-1] == "3 of 4 parts are finished. Give the same command again to resume."


@pytest.mark.slow
def test_processes_predict_from_an_object_store_to_it(
    s3: str, digits_run: RunResult, shards: Path, predict: Predict, tmp_path: Path
) -> None:
    predict("undisturbed")
    storage = Storage(f"{s3}/predictions")
    for file in shards.iterdir():
        Storage(s3).write_bytes(f"shards/{file.name}", file.read_bytes())
    command = [sys.executable, "-m", "pipeline", "predict", "digits", f"{s3}/shards/*.tar"]
    options = ["-o", f"{storage.address}/", "--workers", "2", "--uri", digits_run.tracking_uri]
    subprocess.run([*command, *options], check=True)
    storage.write_bytes("part-00001.parquet", b"PAR1")
    done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    assert "3 of 4 parts are there, with 75 images. They are kept." in done.stderr
    expected = rows(tmp_path / "undisturbed")
    names = [f"part-{number:05}.parquet" for number in range(4)]
    assert storage.names() == ["_manifest.json", *names]
    tables = [parquet.read_table(io.BytesIO(storage.read_bytes(name))) for name in names]
    found = pa.concat_tables(tables).to_pylist()
    assert [row.pop("file") for row in found] == [
        f"{s3}/shards/{Path(row.pop('file')).name}" for row in expected
    ]
    assert found == expected


def test_a_shard_whose_process_dies_is_named_and_the_others_are_kept(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DyingCluster:
        def results(
            self, make_worker: Callable[[], Any], pieces: Iterator[Any], *, retries: int
        ) -> Iterator[tuple[Any, Any]]:
            work = make_worker()
            for piece in pieces:
                is_lost = piece.number == 1
                yield piece, Lost("Memory ran out.", memory=True) if is_lost else work(piece)

    opened = contextlib.nullcontext(DyingCluster())
    monkeypatch.setattr(sharded_prediction, "open_cluster", lambda *_, **__: opened)
    with pytest.raises(PipelineError) as caught:
        predict()
    assert str(caught.value).startswith("1 of 4 parts could not be predicted. ")
    assert str(caught.value).endswith(
        "digits-001.tar: Memory ran out. Give the same command again to predict only these."
    )
    monkeypatch.undo()
    assert len(times(tmp_path / "out")) == 3
    assert predict().rows == 25
