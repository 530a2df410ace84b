"""Runs on real data: what a run returns, and what MLflow contains."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.data import image_loading
from pipeline.errors import DataError, ModelError, PipelineError, UsageError
from pipeline.recipe.loader import load_recipe
from pipeline.stages.train_model import train_model
from pipeline.tracking.store import newest_run, open_store
from pipeline.workflows import single_run
from pipeline.workflows.single_run import RunResult, run

DIGITS = """\
name: few_digits
data: {source: digits, batch_size: 64}
model: {architecture: mlp, hidden: [64]}
optimizer: {learning_rate: 5e-3}
training: {epochs: 8, top_k: 3}
"""


def written(text: str) -> Path:
    path = Path("recipe.yaml")
    path.write_text(text)
    return path


def run_of(text: str, *overrides: str) -> RunResult:
    return run(load_recipe(written(text), overrides))


def plant(
    photographs: Path, counts: dict[str, int], names: tuple[str, ...] = ("ants", "bees")
) -> list[Path]:
    """Write so many real photographs of each class below `photographs`; return their paths."""
    files = []
    for split, count in counts.items():
        source = sorted((photographs / split / "ants").glob("*.jpg"))
        for position, name in enumerate(names):
            folder = Path("photographs", split, name)
            folder.mkdir(parents=True)
            for file in source[position * count : (position + 1) * count]:
                files.append(folder / file.name)
                files[-1].write_bytes(file.read_bytes())
    return files


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The result that `--json` prints, which is one object and nothing else, and the client."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(tmp_path_factory.mktemp("run"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert main(["run", str(written(DIGITS)), "--json"]) == 0
        yield SimpleNamespace(**json.loads(printed.getvalue())), open_store(None).client


def test_it_learns(finished: Any) -> None:
    result, _ = finished
    assert result.metrics["val_accuracy"] > 0.9
    assert result.metrics["test_accuracy"] > 0.9


def test_metrics_by_epoch_and_final_ones_are_in_mlflow(finished: Any) -> None:
    result, client = finished
    logged = client.get_run(result.run_id).data.metrics
    assert logged["val_accuracy"] == result.metrics["val_accuracy"]
    history = client.get_metric_history(result.run_id, "epoch/val_accuracy")
    assert [metric.step for metric in history] == list(range(1, 9))
    best = history[result.best_epoch - 1].value
    assert best == pytest.approx(result.metrics["val_accuracy"], abs=1e-6)


def test_the_run_holds_what_it_was_made_from(finished: Any) -> None:
    result, client = finished
    tracked = client.get_run(result.run_id)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["optimizer.learning_rate"] == "0.005"
    assert tracked.data.params["model.hidden"] == "[64]"
    assert (tracked.data.tags["batch_size"], result.batch_size) == ("64", 64)
    contexts = {one.tags[0].value: one.dataset for one in tracked.inputs.dataset_inputs}
    assert sorted(contexts) == ["testing", "training", "validation"]
    assert {one.name for one in contexts.values()} == {"digits"}
    assert contexts["validation"].profile == json.dumps({"images": result.images["val"]})
    names = {item.path for item in client.list_artifacts(result.run_id)}
    assert names == {
        "class_metrics",
        "class_names.json",
        "environment.json",
        "figures",
        "image_digests.parquet",
        "predictions",
        "recipe.yaml",
        "report.html",
        "resolved.yaml",
        "run.log",
    }
    figures = {item.path for item in client.list_artifacts(result.run_id, "figures")}
    assert figures == {
        f"figures/{name}.png"
        for name in (
            "augmented",
            "learning_curves",
            "test_calibration_roc_pr",
            "test_confusion_matrix",
            "val_calibration_roc_pr",
            "val_confusion_matrix",
            "val_least_certain",
            "val_worst_errors",
        )
    }


def test_metrics_belong_to_the_model_and_to_the_images_of_a_split(finished: Any) -> None:
    result, client = finished
    tracked = client.get_run(result.run_id)
    digests = {one.tags[0].value: one.dataset.digest for one in tracked.inputs.dataset_inputs}
    model = client.get_logged_model(result.model_uri.removeprefix("models:/"))
    measured = {metric.key: metric for metric in model.metrics}
    assert measured["val_accuracy"].value == result.metrics["val_accuracy"]
    assert measured["val_accuracy"].dataset_digest == digests["validation"]
    assert measured["test_log_loss"].dataset_digest == digests["testing"]
    assert model.params == tracked.data.params


def test_the_metrics_of_each_class_are_a_table(finished: Any, tmp_path: Path) -> None:
    result, client = finished
    assert not [name for name in result.metrics if name.startswith(("val_f1/", "test_f1/"))]
    path = client.download_artifacts(result.run_id, "class_metrics/val.json", str(tmp_path))
    table = json.loads(Path(path).read_text())
    assert [row[0] for row in table["data"]] == list("0123456789")
    f1 = [row[table["columns"].index("f1")] for row in table["data"]]
    assert np.mean(f1) == pytest.approx(result.metrics["val_f1_macro"])
    tag = client.get_run(result.run_id).data.tags["mlflow.loggedArtifacts"]
    assert {"path": "class_metrics/val.json", "type": "table"} in json.loads(tag)


def test_the_report_tells_the_run_s_own_figures(finished: Any, tmp_path: Path) -> None:
    result, client = finished
    path = client.download_artifacts(result.run_id, "report.html", str(tmp_path))
    page = Path(path).read_text("utf-8")
    for name in ("val_accuracy", "test_accuracy", "val_log_loss", "test_ece"):
        assert f"{result.metrics[name]:.4f}" in page
    assert f"The model has the weights of epoch {result.best_epoch} of 8." in page
    near = int(result.metrics["near_best_epochs"])
    assert (f"The log loss of {near} other epoch" in page) == (near > 0)
    assert "architecture: mlp" in page
    assert "Grad-CAM" not in page  # there are no convolutions to look through


def test_the_predictions_behind_the_metrics_are_kept(finished: Any, tmp_path: Path) -> None:
    from pipeline.evaluation import predictions

    result, client = finished
    for split in ("val", "test"):
        path = client.download_artifacts(
            result.run_id, f"predictions/{split}.parquet", str(tmp_path)
        )
        kept = predictions.read_predictions(Path(path))
        assert len(kept) == result.images[split]
        assert np.mean(kept.is_correct) == result.metrics[f"{split}_accuracy"]


def test_the_recipe_is_kept_as_written_and_as_resolved(finished: Any, tmp_path: Path) -> None:
    result, client = finished
    folder = Path(client.download_artifacts(result.run_id, "", str(tmp_path)))
    assert (folder / "recipe.yaml").read_text() == DIGITS
    resolved = load_recipe(folder / "resolved.yaml").recipe
    assert resolved == load_recipe(folder / "recipe.yaml").recipe


def test_the_logged_model_takes_raw_pixels_and_answers_as_the_one_in_memory_did(
    finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd

    from pipeline.data.digits import DigitsConfig

    result, _ = finished
    monkeypatch.setenv("MLFLOW_TRACKING_URI", result.tracking_uri)
    model = mlflow.pyfunc.load_model(result.model_uri)
    splits = DigitsConfig(source="digits").load()
    pixels = splits.named()["val"].images.read(np.arange(len(splits.named()["val"])))
    answers = model.predict(pd.DataFrame({"image": list(pixels)}))
    accuracy = np.mean(answers["class"].astype(int) == splits.named()["val"].labels)
    assert accuracy == pytest.approx(result.metrics["val_accuracy"], abs=1e-9)
    assert model.metadata.metadata["class_names"] == list("0123456789")
    assert model.metadata.metadata["decoding"]["size"] == [8, 8]
    (example,) = model.predict(model.input_example).to_dict("records")
    assert example["class"] == str(splits.train.labels[0])


def test_the_same_recipe_gives_the_same_metrics_to_the_last_bit(
    finished: Any, in_empty_folder: Path
) -> None:
    result, _ = finished
    assert run_of(DIGITS).metrics == result.metrics


@pytest.mark.slow
def test_augmentation_too_can_be_repeated_to_the_last_bit(in_empty_folder: Path) -> None:
    changes = (
        "data.augmentation=[{random_translation: {}}, {random_rotation: {}}, {mix_up: {}}]",
        "training.epochs=2",
        "regularization.dropout=0.2",
    )
    assert run_of(DIGITS, *changes).metrics == run_of(DIGITS, *changes).metrics


def test_two_classes_can_be_told_apart_by_one_sigmoid_unit(
    photographs: Path, in_empty_folder: Path
) -> None:
    result = run_of(
        f"data: {{source: image_folder, path: '{photographs}', image_size: [32, 32]}}\n"
        "model: {architecture: mlp, hidden: [16]}\n"
        "training: {epochs: 2, loss: binary_cross_entropy}\n"
    )
    assert set(result.images) == {"train", "val"}
    assert 0.3 < result.metrics["val_accuracy"] < 1
    assert not any(name.startswith("test_") for name in result.metrics)


def test_files_and_classes_may_have_any_name_and_broken_files_are_left_out(
    photographs: Path, in_empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    latin = os.fsdecode(b"f\xfcnf")  # not UTF-8
    names = [f"{name}.jpg" for name in ("two words", "🐜", "two\nlines", latin, "\x1b[31mred")]
    files = plant(photographs, {"train": 5, "val": 5}, ("red ants 🐜", latin))
    for file, name in zip(files, 4 * names, strict=True):
        file.rename(file.with_name(name))
    Path("photographs/train", latin, f"bad {latin}.jpg").write_bytes(b"")
    Path("photographs/train", latin, "bad\nline.jpg").write_text("no image")
    Path("photographs/train", latin, "notes.txt").write_text("six legs")
    twice = files[0].with_name("🐜.jpg")
    shutil.copy(twice, twice.with_name(f"{latin}\n.jpg"))
    text = (
        "data: {source: image_folder, path: photographs, image_size: [32, 32]}\n"
        "model: {architecture: mlp, hidden: [4]}\ntraining: {epochs: 1}\n"
    )
    assert main(["run", str(written(text)), "--json"]) == 0
    printed = capfd.readouterr()
    result = json.loads(printed.out)
    assert set(result["quarantined"]) == {
        f"train/{latin}/bad {latin}.jpg",
        f"train/{latin}/bad\nline.jpg",
    }
    assert result["images"] == {"train": 11, "val": 10}
    client = open_store(None).client
    assert result["ignored"] == {".txt": 1}
    metrics = client.get_run(result["run_id"]).data.metrics
    assert (metrics["count/quarantined"], metrics["count/ignored"]) == (2, 1)
    logged = {item.path for item in client.list_artifacts(result["run_id"])}
    assert logged >= {"quarantined.json", "ignored.json"}
    escaped = "f\\udcfcnf"
    assert f"Skipped train/{escaped}/bad\\nline.jpg: not an image, or of" in printed.err
    assert f"train/red ants 🐜/{escaped}\\n.jpg = train/red ants 🐜/🐜.jpg" in printed.err
    assert "\x1b" not in printed.err


def test_an_image_in_two_splits_is_named_and_its_effect_is_measured(
    photographs: Path, in_empty_folder: Path, messages: list[str]
) -> None:
    files = plant(photographs, {"train": 6, "val": 3})
    shutil.copy(files[0], "photographs/val/ants/copy.jpg")
    Path("recipe.yaml").write_text(
        "data: {source: image_folder, path: photographs, image_size: [32, 32]}\n"
        "model: {architecture: mlp, hidden: [4]}\ntraining: {epochs: 1}\n"
    )
    result = run(load_recipe(Path("recipe.yaml")))
    pair = f"train/ants/{files[0].name} = val/ants/copy.jpg"
    assert any(line.startswith("WARNING: 1 picture is in") and pair in line for line in messages)
    assert result.metrics["val_duplicates"] == 1
    right = (
        7 * result.metrics["val_accuracy"] - 6 * result.metrics["val_accuracy_without_duplicates"]
    )
    assert round(right, 6) in (0, 1)
    client = open_store(None).client
    kept = client.download_artifacts(result.run_id, "duplicates.json")
    (group,) = json.loads(Path(kept).read_text())
    assert [place["name"] for place in group] == pair.split(" = ")


def test_training_images_in_the_folder_of_another_class_are_named(
    photographs: Path, weights: Path, in_empty_folder: Path, messages: list[str]
) -> None:
    for split, count in {"train": 40, "val": 4}.items():
        for name in ("ants", "bees"):
            folder = Path("photographs", split, name)
            folder.mkdir(parents=True)
            for file in sorted((photographs / split / name).glob("*.jpg"))[:count]:
                shutil.copy(file, folder)
    strayed = sorted(Path("photographs/train/ants").iterdir())[:2]
    for path in strayed:
        path.rename(f"photographs/train/bees/{path.name}")
    Path("recipe.yaml").write_text(
        "data: {source: image_folder, path: photographs, image_size: [160, 160]}\n"
        "model:\n  architecture: transfer\n  base: MobileNetV2\n"
        f"  weights: {weights / 'mobilenet_v2_imagenet_notop.weights.h5'}\n"
        "training: {epochs: 2}\n"
    )
    result = run(load_recipe(Path("recipe.yaml")))
    kept = open_store(None).client.download_artifacts(result.run_id, "label_errors.json")
    suspects = {one["name"]: one["suggested"] for one in json.loads(Path(kept).read_text())}
    # The message names some of them only: which ones, rounding on the processor may decide.
    (message,) = [line for line in messages if line.startswith("The labels of")]
    assert message.startswith(f"The labels of {len(suspects)} training images may be wrong: ")
    for path in strayed:
        assert suspects[f"train/bees/{path.name}"] == "ants"


def test_a_photograph_that_vanishes_during_the_run_is_named(
    photographs: Path, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = plant(photographs, {"train": 4, "val": 2})
    monkeypatch.setattr(image_loading, "MAX_BYTES_IN_MEMORY", 0)
    text = (
        "data: {source: image_folder, path: photographs, image_size: [32, 32]}\n"
        "model: {architecture: mlp, hidden: [4]}\ntraining: {epochs: 1}\n"
    )

    def delete_and_train(*arguments: Any, **options: Any) -> Any:
        files[0].unlink()
        return train_model(*arguments, **options)

    monkeypatch.setattr(single_run, "train_model", delete_and_train)
    with pytest.raises(DataError) as failed:
        run_of(text)
    assert str(failed.value) == (
        f"{files[0].absolute()} was changed during the run: No such file or directory."
    )
    assert newest_run(open_store(None)).info.status == "FAILED"


def test_classes_that_come_with_a_download_are_checked_once_they_are_there(
    photographs: Path, in_empty_folder: Path
) -> None:
    plant(photographs, {"train": 3, "val": 2}, ("ants", "bees", "wasps"))
    archive = shutil.make_archive("photographs", "zip", "photographs")
    shutil.rmtree("photographs")
    digest = hashlib.sha256(Path(archive).read_bytes()).hexdigest()
    with pytest.raises(DataError) as failed:
        run_of(
            "data: {source: image_folder, path: fetched, image_size: [32, 32], download: "
            f"{{url: 'file://{archive}', sha256: '{digest}'}}}}\n"
            "model: {architecture: mlp}\ntraining: {loss: binary_cross_entropy}\n"
        )
    assert str(failed.value) == (
        "training.loss: binary_cross_entropy needs two classes. The data has 3."
    )


def test_a_misspelt_layer_fails_before_training_and_its_correction_is_another_run(
    photographs: Path, in_empty_folder: Path, messages: list[str]
) -> None:
    plant(photographs, {"train": 3, "val": 2})
    pixels = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 3, name="convolution")(pixels)
    keras.Model(pixels, features, name="base").save("base.keras")
    text = (
        "data: {source: image_folder, path: photographs, image_size: [32, 32]}\n"
        "model: {architecture: transfer, base: base.keras}\n"
        "optimizer: {gradient_accumulation_steps: 2}\n"
        "training: {epochs: 2, fine_tune: {from: convoluton, epochs: 2}}\n"
    )
    with pytest.raises(ModelError) as failed:
        run_of(text)
    assert str(failed.value).startswith(
        "training.fine_tune.from: base has no layer or stage 'convoluton'. "
        "Did you mean 'convolution'?"
    )
    assert (
        "WARNING: optimizer.gradient_accumulation_steps: the weights change every 2 steps, but an "
        "epoch has 1, so some epochs change nothing."
    ) in messages
    tracked = newest_run(open_store(None))
    assert tracked.info.status == "FAILED"
    assert not [name for name in tracked.data.metrics if name.startswith(("epoch/", "features/"))]
    assert not any("Resume with" in message for message in messages)
    corrected = load_recipe(written(text.replace("convoluton", "convolution")))
    with pytest.raises(UsageError) as refused:
        run(corrected, resume="latest")
    assert str(refused.value) == (
        f"The recipe has changed since run {tracked.info.run_id} was started:\n"
        "  training.fine_tune.from: was convoluton, is convolution\n"
        "Undo the changes, or start a new run without --resume."
    )


def test_classes_of_weights_that_come_with_a_download_are_checked_too(
    photographs: Path, in_empty_folder: Path
) -> None:
    plant(photographs, {"train": 3, "val": 2})
    archive = shutil.make_archive("photographs", "zip", "photographs")
    shutil.rmtree("photographs")
    digest = hashlib.sha256(Path(archive).read_bytes()).hexdigest()
    with pytest.raises(DataError) as failed:
        run_of(
            "data: {source: image_folder, path: fetched, image_size: [32, 32], download: "
            f"{{url: 'file://{archive}', sha256: '{digest}'}}}}\n"
            "model: {architecture: mlp}\ntraining: {class_weight: {bee: 2}}\n"
        )
    assert str(failed.value) == (
        "training.class_weight.bee: the data has no such class. Available: ants, bees. Did "
        "you mean 'bees'?"
    )


def test_a_run_on_imbalanced_classes_shows_balanced_accuracy_and_what_helps(
    digit_files: Path,
    in_empty_folder: Path,
    messages: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for split, counts in {"train": {"0": 5, "1": 1}, "val": {"0": 3, "1": 3}}.items():
        for label, count in counts.items():
            folder = Path("digits", split, label)
            folder.mkdir(parents=True)
            files = sorted(digit_files.glob(f"*_{label}.png"))
            for file in files[:count] if split == "train" else files[-count:]:
                shutil.copy(file, folder)
                if split == "train" and label == "0":  # ten images
                    shutil.copy(file, folder / f"copy_{file.name}")
    text = (
        "data: {source: image_folder, path: digits, image_size: [8, 8]}\n"
        "model: {architecture: mlp}\ntraining: {epochs: 1}\n"
    )
    result = run_of(text)
    warnings = [line for line in messages if "The classes are imbalanced" in line]
    assert warnings == [
        "WARNING: The classes are imbalanced. Training images: 0 10, 1 1. The model may miss rare "
        "classes, which accuracy hardly shows: see balanced_accuracy. To give rare classes more "
        "weight, set training.class_weight: balanced or data.sampling: balanced."
    ]
    metrics = result.metrics
    assert f"  balanced_accuracy {metrics['val_balanced_accuracy']:.4f} (" in str(result)
    assert "<th>balanced_accuracy</th>" in result._repr_html_()
    assert result.report is not None
    assert "Validation balanced accuracy" in result.report.read_text()
    messages.clear()
    remedied = run_of(text, "training.class_weight=balanced")
    assert not [line for line in messages if "The classes are imbalanced" in line]
    assert "balanced_accuracy" in str(remedied)


def test_a_run_that_diverges_after_good_epochs_says_so_and_keeps_the_best_one(
    in_empty_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rates = "{piecewise: {boundaries: [2], factors: [1e30]}}"
    optimizer = f"optimizer={{name: sgd, learning_rate: 0.05, schedule: {rates}}}"
    result = run_of(DIGITS, optimizer)
    assert (result.status, result.epochs) == ("FINISHED", 2)
    assert result.metrics["diverged_epoch"] == 3
    assert result.metrics["val_accuracy"] > 0.3
    assert str(result).startswith(
        f"few_digits: best epoch {result.best_epoch} of 2, after which training diverged"
    )
    warning = (
        f"Training diverged. {result.divergence} The model has the weights of epoch "
        f"{result.best_epoch}, the best one before."
    )
    assert warning in caplog.messages
    logged = open_store(None).client.get_run(result.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["divergence"] == result.divergence
    assert logged.data.metrics["diverged_epoch"] == 3


@pytest.mark.slow
def test_a_run_that_its_budget_ends_says_so(in_empty_folder: Path) -> None:
    result = run_of(DIGITS, "training.epochs=100000", "training.budget=3s")
    assert result.budget is not None
    assert result.budget.startswith(
        f"training.budget: 3s ended training after {result.epochs} of 100000 epochs"
    )
    assert result.budget in str(result)
    assert result.report is not None
    assert result.budget in result.report.read_text("utf-8")
    logged = open_store(None).client.get_run(result.run_id)
    assert logged.data.tags["budget"] == result.budget
    assert logged.data.metrics["budget_epoch"] == result.epochs


def test_a_run_that_fails_is_failed_with_its_reason(in_empty_folder: Path) -> None:
    with pytest.raises(PipelineError, match="The loss became"):
        run_of(DIGITS, "optimizer={name: sgd, learning_rate: 1e30}")
    store = open_store(None)
    failed = newest_run(store)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["reason"].startswith("The loss became ")


def test_a_run_that_is_interrupted_is_killed(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.training.progress_display import ProgressDisplay

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgressDisplay, "on_epoch_end", interrupt)
    assert main(["run", str(written(DIGITS))]) == 130
    run_id = newest_run(open_store(None)).info.run_id
    assert newest_run(open_store(None)).info.status == "KILLED"
    assert capsys.readouterr().err.endswith(
        "Training is saved up to epoch 1. Resume with: pipeline run recipe.yaml --resume "
        f"{run_id}\n\nInterrupted.\n"
    )


def test_an_interrupted_run_resumes_as_if_it_had_not_been_interrupted(
    finished: Any, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.training.progress_display import ProgressDisplay

    def interrupt_after_three(display: Any, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressDisplay, "on_epoch_end", interrupt_after_three)
        with pytest.raises(KeyboardInterrupt):
            run_of(DIGITS)
    loaded = load_recipe(written(DIGITS))
    result = run(loaded, resume="latest")
    assert result.metrics == finished[0].metrics
    assert result.epochs == 8
    client = open_store(None).client
    tracked = client.get_run(result.run_id)
    assert tracked.info.status == "FINISHED"
    for name in tracked.data.metrics:
        steps = [metric.step for metric in client.get_metric_history(result.run_id, name)]
        assert steps == (list(range(1, 9)) if name.startswith("epoch/") else [0])
    assert len(tracked.outputs.model_outputs) == 1
    assert (
        list(Path("mlruns/checkpoints").iterdir()) == list(Path("mlruns/running").iterdir()) == []
    )


def test_a_run_that_fills_the_disk_fails_with_the_reason_and_can_be_resumed(
    finished: Any,
    in_empty_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    messages: list[str],
) -> None:
    from pipeline.stages import log_run

    def fill(*_: Any, **__: Any) -> None:
        Path("/dev/full").write_text("as a full disk")

    loaded = load_recipe(written(DIGITS))
    with monkeypatch.context() as patch:
        patch.setattr(log_run, "write_model", fill)
        with pytest.raises(PipelineError) as failed:
            run(loaded)
    assert str(failed.value).startswith("No space left on device. Free disk space: ")
    tracked = newest_run(open_store(None))
    assert tracked.info.status == "FAILED"
    assert tracked.data.tags["reason"] == str(failed.value)
    assert messages[-1] == (
        "Training is saved up to epoch 8. Resume with: pipeline run recipe.yaml --resume "
        f"{tracked.info.run_id}"
    )
    result = run(loaded, resume=tracked.info.run_id)
    assert result.metrics == finished[0].metrics


@pytest.mark.slow
def test_eight_runs_at_once_in_one_store_all_finish_and_lose_nothing(in_empty_folder: Path) -> None:
    path = written(DIGITS)
    command = [sys.executable, "-m", "pipeline", "run", str(path), "--json", "--set"]
    processes = [
        subprocess.Popen(
            [*command, f"seed={seed}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for seed in range(8)
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    client = open_store(None).client
    for out, _ in outputs:
        result = json.loads(out)
        assert result["outbox"] is None
        tracked = client.get_run(result["run_id"])
        assert tracked.info.status == "FINISHED"
        assert result["metrics"].items() <= tracked.data.metrics.items()
        for name in ("epoch/loss", "epoch/val_accuracy"):
            history = client.get_metric_history(result["run_id"], name)
            assert [metric.step for metric in history] == list(range(1, 9))
