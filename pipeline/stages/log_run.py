"""Logs a run's recipe, dataset, model, evaluation and report."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import pipeline
from pipeline.data.image_decoding import Decoding
from pipeline.data.image_digests import image_digests, write_image_digests
from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.splits import Splits
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import RenderedReport
from pipeline.inference import pyfunc_model
from pipeline.inference.feature_distance import REFERENCES_FILE
from pipeline.inference.model_code import write_model_code
from pipeline.inference.model_interface import ModelInterface, load_interface
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import LoadedRecipe, dump_recipe, run_parameters
from pipeline.stages.calibrate_model import ModelCalibration
from pipeline.stages.evaluate_splits import Evaluation
from pipeline.stages.find_label_errors import SuspectedLabel
from pipeline.stages.source_commit import source_commit
from pipeline.stages.train_model import TrainedModel
from pipeline.tasks.task import Task
from pipeline.tracking.mlflow_model import write_model
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.stored_model import DATA
from pipeline.tracking.ui_tables import table_tags, write_table

_CONTEXTS = {"train": "training", "val": "validation", "test": "testing"}  # as MLflow names them

# To the interface alone, by `log_calibration`.
_ADDED_LATER = ("thresholds", "conformal", "distance")
_PACKAGES = ("tensorflow", "keras", "mlflow", "numpy", "pillow", "scikit-learn", "pydantic")


def describe_environment() -> dict[str, str]:
    """Return the versions of the packages, and the machine."""
    return {
        "pipeline": pipeline.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        **{name: version(name) for name in _PACKAGES},
    }


def log_recipe(loaded: LoadedRecipe, run_logger: RunLogger) -> None:
    """Log the recipe, as written and with every default, and the environment."""
    recipe = loaded.recipe
    run_logger.log_params(run_parameters(recipe, loaded.secrets))
    run_logger.set_tags({"seed": str(recipe.seed), "pipeline.version": pipeline.__version__})
    if commit := source_commit(loaded.path):
        run_logger.set_tags({"mlflow.source.git.commit": commit})
    with run_logger.log_artifacts() as directory:
        (directory / "recipe.yaml").write_text(loaded.text, "utf-8")
        (directory / "resolved.yaml").write_text(dump_recipe(recipe, loaded.secrets), "utf-8")
        write_json(directory / "environment.json", describe_environment())
        if loaded.overrides:
            lines = "".join(f"--set {argument}\n" for argument in loaded.overrides)
            (directory / "overrides.txt").write_text(lines, "utf-8")


def log_dataset(loaded: LoadedRecipe, splits: Splits, run_logger: RunLogger) -> None:
    """Log the images: digests, counts, class names, files that were left out and duplicates."""
    data = loaded.recipe.data
    counts = {name: len(split) for name, split in splits.named().items()}
    source = str(data.location or data.source)
    for name, split in splits.named().items():
        run_logger.log_dataset(
            name, source, digest=split.digest, images=len(split), context=_CONTEXTS[name]
        )
    ignored = sum(splits.ignored.values())
    images = {**counts, "quarantined": len(splits.quarantined), "ignored": ignored}
    if splits.duplicates is not None:
        images["duplicates"] = len(splits.duplicates)
    run_logger.log_metrics({f"count/{name}": float(count) for name, count in images.items()})
    with run_logger.log_artifacts() as directory:
        write_json(directory / "class_names.json", splits.class_names)
        write_image_digests(image_digests(splits), directory)
        if splits.quarantined:
            reasons = {file.name: file.reason for file in splits.quarantined}
            write_json(directory / "quarantined.json", reasons)
        if splits.ignored:
            write_json(directory / "ignored.json", splits.ignored)
        if splits.duplicates:
            groups = [
                [{"split": copy.split, "name": copy.name, "sha256": copy.digest} for copy in copies]
                for copies in splits.duplicates
            ]
            write_json(directory / "duplicates.json", groups)


def log_model(recipe: Recipe, splits: Splits, trained: TrainedModel, run_logger: RunLogger) -> Path:
    """Log the model with its interface; return the directory of its files."""
    interface = ModelInterface(
        task=recipe.data.task,
        class_names=splits.class_names,
        decoding=_decoding(recipe, splits),
        feature_names=splits.feature_names,
        thresholds=_as_tuple(recipe.task.choose_thresholds(len(splits.class_names), None)),
    )
    metadata = {**asdict(interface), "data_digest": splits.digest}
    for name in _ADDED_LATER:
        del metadata[name]
    with run_logger.log_model() as directory, tempfile.TemporaryDirectory() as scratch:
        code, loader = write_model_code(Path(scratch))
        write_model(
            trained.model,
            directory,
            metadata=metadata,
            loader=loader,
            code=code,
            answer=recipe.task.ANSWER,
            example=pyfunc_model.request_table(
                splits.train.images.read(np.array([0]))[0], splits.feature_names
            ),
        )
        interface.save(directory / DATA)
        write_image_digests(image_digests(splits), directory / DATA)
    tags = {
        "devices": ", ".join(trained.devices.names),
        "precision": trained.devices.precision,
        "batch_size": str(trained.batch_size),
    }
    if trained.initial_run:
        tags["initial_run"] = trained.initial_run
    if facts := trained.trainer.feature_facts():
        tags["features.precision"] = facts["precision"]
    run_logger.set_tags(tags)
    return directory / DATA


def _decoding(recipe: Recipe, splits: Splits) -> Decoding | None:
    """Return how image files become the pixels that the model takes; None for numbers."""
    if not isinstance(recipe.data, ImageSourceConfig):
        return None
    height, width, channels = splits.input_shape
    return Decoding((height, width), recipe.data.resize_mode, channels, splits.value_range)


def log_calibration(
    calibration: ModelCalibration,
    thresholds: np.ndarray | None,
    model_directory: Path,
    run_logger: RunLogger,
) -> None:
    """Add what a model needs to decide, and to say that it does not know, to the logged model.

    Args:
        calibration: of the model.
        thresholds: of the classes, None without.
        model_directory: as `log_model` returned it.
        run_logger: the run.
    """
    interface = replace(
        load_interface(model_directory),
        thresholds=_as_tuple(thresholds),
        conformal=calibration.conformal,
        distance=calibration.distance,
    )
    metrics = {}
    if calibration.conformal:
        metrics["count/calibration"] = float(calibration.conformal.images)
    if calibration.distance:
        metrics["distance/threshold"] = calibration.distance.threshold
    run_logger.log_metrics(metrics)
    with run_logger.log_model_files() as directory:
        (directory / DATA).mkdir()
        interface.save(directory / DATA)
        if calibration.references:
            (directory / DATA / REFERENCES_FILE).write_bytes(calibration.references.encode())


def _as_tuple(thresholds: np.ndarray | None) -> tuple[float, ...] | None:
    return None if thresholds is None else tuple(thresholds.tolist())


def log_graph(directory: Path | None, run_logger: RunLogger) -> None:
    """Add the graph in a directory, if there is one, to the files of the logged model."""
    if directory:
        with run_logger.log_model_files() as files:
            shutil.move(directory, files / DATA)


def log_evaluation(task: Task, evaluation: Evaluation, run_logger: RunLogger) -> None:
    """Log the metrics, those of each class, and the predictions that they are computed from."""
    remaining = dict(evaluation.metrics)
    for prefix in evaluation.predictions:
        names = [name for name in remaining if name.startswith(f"{prefix}_")]
        run_logger.log_metrics({name: remaining.pop(name) for name in names}, split=prefix)
    run_logger.log_metrics(remaining)
    tables = []
    with run_logger.log_artifacts() as directory:
        (directory / "predictions").mkdir()
        for prefix, predicted in evaluation.predictions.items():
            masked = _masked(predicted, run_logger)
            path = directory / "predictions" / f"{prefix}{predictions.SUFFIX}"
            predictions.write_predictions(masked, path)
            if rows := task.class_rows(masked):
                tables.append(f"class_metrics/{prefix}.json")
                (directory / "class_metrics").mkdir(exist_ok=True)
                write_table(rows, directory / tables[-1])
    run_logger.set_tags({**table_tags(tables), "evaluation.engine": evaluation.engine})


def _masked(predicted: Predictions, run_logger: RunLogger) -> Predictions:
    """Return predictions without secrets in the names of images and classes."""
    return replace(
        predicted,
        names=[run_logger.mask(name) for name in predicted.names],
        class_names=[run_logger.mask(name) for name in predicted.class_names],
    )


def log_report(rendered: RenderedReport, run_logger: RunLogger) -> None:
    """Log a report, and its figures as files of their own."""
    with run_logger.log_artifacts() as directory:
        (directory / "report.html").write_text(rendered.html, "utf-8", "backslashreplace")
        (directory / "figures").mkdir()
        for name, png in rendered.images.items():
            (directory / "figures" / f"{name}.png").write_bytes(png)


def log_label_errors(label_errors: Sequence[SuspectedLabel] | None, run_logger: RunLogger) -> None:
    """Log the training images whose labels may be wrong, if they were looked for."""
    if label_errors is None:
        return
    run_logger.log_metrics({"count/label_errors": float(len(label_errors))})
    if label_errors:
        listed = [asdict(one) for one in label_errors]
        with run_logger.log_artifacts() as directory:
            write_json(directory / "label_errors.json", listed)


def write_json(path: Path, value: Any) -> None:
    """Write a file with a JSON value, in which there may be names of files."""
    # A file name that is not UTF-8 contains half of a surrogate pair, which JSON can escape.
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
