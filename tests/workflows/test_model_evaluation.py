"""A model evaluated on another dataset."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.data.digits import DigitsConfig
from pipeline.data.image_digests import ImageDigests
from pipeline.errors import DataError
from pipeline.evaluation import predictions
from pipeline.inference.classifier import load_classifier
from pipeline.inference.image_classifier import load_image_classifier
from pipeline.tracking.lookup import find_model
from pipeline.tracking.store import newest_run, open_store
from pipeline.workflows import view_averaging
from pipeline.workflows.model_evaluation import EvaluationData, evaluate, evaluate_and_log
from pipeline.workflows.single_run import RunResult


@pytest.fixture(scope="module")
def folder(digit_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in one directory per class, one file of them broken."""
    place = tmp_path_factory.mktemp("labelled")
    for file in sorted(digit_files.iterdir()):
        (place / file.stem[-1]).mkdir(exist_ok=True)
        shutil.copy(file, place / file.stem[-1])
    (place / "7" / "broken.png").write_bytes(b"no image")
    return place


def test_the_metrics_become_a_child_run(
    digits_run: RunResult,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", digits_run.run_id, "--data", str(folder)]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    captured = capsys.readouterr()
    first, second = captured.out.splitlines()
    assert first.startswith(f"digits on {folder}: accuracy 0.9")
    assert first.endswith("on 100 images")
    assert (
        "WARNING: Skipped 7/broken.png: not an image, or of a format that is not supported"
        in captured.err
    )

    store = open_store(digits_run.tracking_uri)
    run = store.client.get_run(second.split()[1])
    parent = store.client.get_run(digits_run.run_id)
    assert run.data.tags["mlflow.parentRunId"] == digits_run.run_id
    assert run.info.experiment_id == parent.info.experiment_id
    assert run.info.status == "FINISHED"
    metrics = run.data.metrics
    assert metrics["eval_accuracy_low"] < metrics["eval_accuracy"] < 1
    (dataset,) = run.inputs.dataset_inputs
    assert [tag.value for tag in dataset.tags] == ["evaluation"]
    assert [model.model_id for model in run.inputs.model_inputs] == [
        output.model_id for output in parent.outputs.model_outputs
    ]
    assert (metrics["count/eval"], metrics["count/quarantined"]) == (100, 1)
    path = store.client.download_artifacts(
        run.info.run_id, "predictions/eval.parquet", str(tmp_path)
    )
    stored = predictions.read_predictions(Path(path))
    assert stored.is_correct.mean() == metrics["eval_accuracy"]
    page = store.client.download_artifacts(run.info.run_id, "report.html", str(tmp_path))
    html = Path(page).read_text("utf-8")
    assert "7/broken.png" in html
    assert "Their thresholds come from the test images of the model." in html
    shown = {file.path for file in store.client.list_artifacts(run.info.run_id, "figures")}
    assert {"figures/eval_confusion_matrix.png", "figures/eval_least_certain.png"} <= shown
    assert find_model(store, "latest").run_id == digits_run.run_id


@pytest.mark.parametrize("differs", [False, True], ids=["the same", "another"])
def test_the_graph_predicts_if_keras_predicts_the_same(
    digits_run: RunResult,
    digits_model: Path,
    digits_graph_model: Path,
    folder: Path,
    messages: list[str],
    differs: bool,
) -> None:
    store = open_store(digits_run.tracking_uri)
    graph, keras = load_image_classifier(digits_graph_model), load_classifier(digits_model)
    if differs:
        keras.model.layers[-1].bias.assign_add(np.eye(10)[3] * 99)
    evaluation, run_id = evaluate_and_log(
        graph,
        keras,
        EvaluationData(folder),
        store=store,
        model=find_model(store, digits_run.run_id),
    )
    again = [line for line in messages if line.startswith("WARNING: Evaluating again with Keras, ")]
    run = store.client.get_run(run_id)
    if differs:
        assert len(again) == 1
        assert run.data.tags["evaluation.engine"] == "keras"
        assert "graph/compared" not in run.data.metrics
        assert evaluation.metrics["eval_accuracy"] < 0.5
    else:
        assert again == []
        assert run.data.tags["evaluation.engine"] == "openvino"
        assert run.data.metrics["graph/compared"] == 32
        assert evaluation.metrics["eval_accuracy"] > 0.9


def test_outputs_are_averaged_over_views_on_request(
    digits_run: RunResult,
    digits_model: Path,
    digits_graph_model: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "data: {source: digits, augmentation: [{random_translation: {}}]}\n"
        "model: {architecture: mlp}\n"
    )
    monkeypatch.setattr(
        view_averaging, "recipe_of", lambda store, model: contextlib.nullcontext(recipe)
    )
    store = open_store(digits_run.tracking_uri)
    evaluation, run_id = evaluate_and_log(
        load_image_classifier(digits_graph_model),
        load_classifier(digits_model),
        EvaluationData(folder),
        store=store,
        model=find_model(store, digits_run.run_id),
        views=3,
    )
    tags = store.client.get_run(run_id).data.tags
    assert (tags["views"], tags["evaluation.engine"]) == ("3", "openvino")
    plain = evaluate(load_classifier(digits_model), EvaluationData(folder)).predictions
    assert 1e-3 < np.abs(evaluation.predictions.outputs - plain.outputs).max() < 1
    page = store.client.download_artifacts(run_id, "report.html", str(tmp_path))
    html = Path(page).read_text("utf-8")
    assert "mean over 3 views of an image, itself and 2 by data.augmentation" in html
    assert "Their thresholds come from the test images of the model." not in html


def test_an_evaluation_that_fails_is_a_failed_run_with_the_reason(
    digits_run: RunResult,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fill(*_: object) -> None:
        Path("/dev/full").write_text("as a full disk")

    monkeypatch.setattr(predictions, "write_predictions", fill)
    arguments = ["evaluate", digits_run.run_id, "--data", str(folder)]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("Error: No space left on device. Free disk space: ")
    run = newest_run(open_store(digits_run.tracking_uri))
    assert run.data.tags["mlflow.parentRunId"] == digits_run.run_id
    assert run.info.status == "FAILED"
    assert f"Error: {run.data.tags['reason']}" == message


def test_a_wrong_directory_starts_no_run(
    digits_run: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(digits_run.tracking_uri)
    before = newest_run(store).info.run_id
    arguments = ["evaluate", digits_run.run_id, "--data", str(tmp_path / "absent")]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 1
    assert newest_run(store).info.run_id == before


def test_a_folder_with_some_of_the_classes_is_evaluated(
    digits_model: Path, folder: Path, tmp_path: Path, messages: list[str]
) -> None:
    for name in "37":
        (tmp_path / name).symlink_to(folder / name)
    evaluation = evaluate(load_classifier(digits_model), EvaluationData(tmp_path))
    assert messages[0] == (
        f"WARNING: {tmp_path} has no images of 0, 1, 2, 4, 5, 6, 8, 9. Averages over classes leave "
        "them out."
    )
    metrics = evaluation.metrics
    predicted = evaluation.predictions
    recall = [np.mean(predicted.is_correct[predicted.labels == label]) for label in (3, 7)]
    assert metrics["eval_recall_macro"] == pytest.approx(np.mean(recall))
    assert metrics["eval_accuracy"] > 0.8


def test_a_folder_without_one_good_file_is_an_error(digits_model: Path, tmp_path: Path) -> None:
    for name in "0123456789":
        (tmp_path / name).mkdir()
    (tmp_path / "3" / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError) as refused:
        evaluate(load_classifier(digits_model), EvaluationData(tmp_path))
    assert str(refused.value) == (
        f"No file in {tmp_path} can be read. 3/broken.png: not an image, or of a format that is "
        "not supported."
    )


def test_images_that_the_model_was_trained_or_chosen_on_are_a_warning(
    digits_run: RunResult, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = DigitsConfig(source="digits").load()
    used = {name: set(split.names) for name, split in splits.named().items()}
    names = sorted(f"{file.stem[-1]}/{file.name}" for file in folder.rglob("*_*.png"))
    trained, chosen = (
        [name for name in names if str(int(name[2:5])) in used[split]] for split in ("train", "val")
    )
    assert 50 < len(trained) < 90
    assert 5 < len(chosen) < 30
    arguments = ["evaluate", digits_run.run_id, "--data", str(folder)]
    assert main([*arguments, "--uri", digits_run.tracking_uri]) == 0
    sentence = (
        f"The model was trained on {len(trained)} of 100 images ({len(trained)}.0%), such as "
        f"{', '.join(trained[:3])}, and chosen on {len(chosen)} of 100 images ({len(chosen)}.0%), "
        f"such as {', '.join(chosen[:3])}. The metrics of images that a model knows are too high: "
        "evaluate it on others."
    )
    assert f"WARNING: {sentence}\n" in capsys.readouterr().err
    store = open_store(digits_run.tracking_uri)
    run = newest_run(store)
    metrics = run.data.metrics
    assert (metrics["count/trained_on"], metrics["count/chosen_on"]) == (
        len(trained),
        len(chosen),
    )
    listed = Path(store.client.download_artifacts(run.info.run_id, "known_images.json"))
    assert json.loads(listed.read_text()) == {"trained": trained, "chosen": chosen}
    report = Path(store.client.download_artifacts(run.info.run_id, "report.html"))
    assert sentence in report.read_text("utf-8")


def test_images_are_known_by_their_files(
    digits_model: Path, folder: Path, tmp_path: Path, messages: list[str]
) -> None:
    (tmp_path / "3").symlink_to(folder / "3")
    first, second, *_ = sorted((folder / "3").iterdir())
    files = [hashlib.sha256(file.read_bytes()).digest()[:16] for file in (first, second)]
    order = np.argsort(files)
    known = ImageDigests(np.array(files, "S16")[order], np.array([True, False])[order])
    evaluation = evaluate(load_classifier(digits_model), EvaluationData(tmp_path), known)
    assert evaluation.known is not None
    assert evaluation.known.trained == [f"3/{first.name}"]
    assert evaluation.known.chosen == [f"3/{second.name}"]
    assert messages[-1] == f"WARNING: {evaluation.known}"


def test_new_images_are_no_warning(
    digits_model: Path, folder: Path, tmp_path: Path, messages: list[str]
) -> None:
    (tmp_path / "3").symlink_to(folder / "3")
    known = ImageDigests(np.array([b"another image.."], "S16"), np.array([True]))
    evaluation = evaluate(load_classifier(digits_model), EvaluationData(tmp_path), known)
    assert len(messages) == 1  # of the absent classes
    assert str(evaluation.known) == (
        "The model is not known to have been trained or chosen on any of these images."
    )
