"""Evaluates a trained model on another dataset and logs the result."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.image_decoding import read_image_file
from pipeline.data.image_files import ImageFiles
from pipeline.data.labelled_directory import find_labelled_files
from pipeline.errors import DataError, escape_unprintable
from pipeline.evaluation import predictions
from pipeline.evaluation.metrics import classification_metrics
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import RenderedReport, Report, render_report
from pipeline.inference.batch_prediction import Prediction, predict
from pipeline.inference.classifier import Classifier
from pipeline.stages.log_run import log_report
from pipeline.stages.run_report import build_split_report, heatmap_function
from pipeline.stages.tracked_run import tracked_run
from pipeline.tracking.lookup import StoredModel
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.store import Store

logger = logging.getLogger(__name__)

PREFIX = "eval"

ShowProgress = Callable[[Iterator[Prediction[Path]], int], Iterator[Prediction[Path]]]


@dataclass(frozen=True)
class ExternalEvaluation:
    """The result of evaluating a model on another dataset.

    Attributes:
        metrics: by name, `eval_*`.
        predictions: the model's prediction for each image.
        left_out: the files that could not be read, with the reason.
        report: the report page.
    """

    metrics: dict[str, float]
    predictions: Predictions
    left_out: dict[str, str]
    report: RenderedReport


def evaluate_and_log(
    classifier: Classifier,
    directory: Path,
    *,
    store: Store,
    model: StoredModel,
    show_progress: ShowProgress,
) -> tuple[ExternalEvaluation, str]:
    """Evaluate a logged model on another dataset, as a child of the run that logged it.

    Args:
        classifier: the model.
        directory: has one sub-directory per class, named like the model's classes.
        store: the tracking store.
        model: the model in the store.
        show_progress: as in `evaluate`.

    Returns:
        The evaluation and the id of its run.

    Raises:
        PipelineError: if the evaluation fails. In MLflow its run is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted. In MLflow its run is KILLED.
    """
    find_labelled_files(directory, classifier.interface.class_names)  # no run for a wrong path
    with tracked_run(
        store,
        experiment=store.client.get_experiment(model.experiment_id).name,
        name=f"{model.run_name} on {directory.name}",
        description=f"The model {model.uri} on the images in {directory}.",
        parent=model.run_id,
    ) as tracked:
        tracked.logger.set_tags({"evaluated_model": model.uri})
        evaluation = evaluate(classifier, directory, show_progress=show_progress)
        for name, reason in evaluation.left_out.items():
            logger.warning(f"Skipped {escape_unprintable(name)}: {reason}")
        _log(evaluation, directory, tracked.logger)
    return evaluation, tracked.logger.run_id


def evaluate(
    classifier: Classifier, directory: Path, *, show_progress: ShowProgress
) -> ExternalEvaluation:
    """Evaluate a model on the images in a directory.

    Args:
        classifier: the model.
        directory: has one sub-directory per class, named like the model's classes.
        show_progress: called with an iterator over predictions and their number; yields them.

    Raises:
        DataError: if the classes differ from the model's, or no file can be read.
    """
    names = classifier.interface.class_names
    files, labels = find_labelled_files(directory, names)
    digests: dict[Path, str] = {}

    def read(path: Path) -> np.ndarray:
        data = read_image_file(path)
        digests[path] = hashlib.sha256(data).hexdigest()
        return classifier.interface.decode(data)

    answers = list(show_progress(predict(classifier, files, read), len(files)))
    read_indices = [index for index, answer in enumerate(answers) if not answer.error]
    left_out = {
        str(answer.item.relative_to(directory)): answer.error for answer in answers if answer.error
    }
    if not read_indices:
        first, reason = next(iter(left_out.items()))
        raise DataError(f"No file in {directory} can be read. {first}: {reason}.")
    predictions = Predictions(
        class_names=names,
        names=[str(files[index].relative_to(directory)) for index in read_indices],
        digests=[digests[files[index]] for index in read_indices],
        labels=np.array([labels[index] for index in read_indices], np.int64),
        probabilities=np.array([answers[index].probabilities for index in read_indices]),
    )
    values = classification_metrics(
        predictions.labels, predictions.probabilities, class_names=names
    )
    metrics = {f"{PREFIX}_{name}": value for name, value in values.items()}
    images = ImageFiles([files[index] for index in read_indices], classifier.interface.decoding)
    report = _report(classifier, directory, images, predictions, metrics, left_out)
    return ExternalEvaluation(metrics, predictions, left_out, report)


def _log(evaluation: ExternalEvaluation, directory: Path, run_logger: RunLogger) -> None:
    predicted = evaluation.predictions
    run_logger.log_dataset(
        str(directory.absolute()), digest=_digest(predicted), counts={PREFIX: len(predicted)}
    )
    counts = {f"images/{PREFIX}": len(predicted), "images/quarantined": len(evaluation.left_out)}
    run_logger.log_metrics(
        evaluation.metrics | {name: float(count) for name, count in counts.items()}
    )
    with run_logger.log_artifacts() as artifacts:
        (artifacts / "predictions").mkdir()
        predictions.write_predictions(predicted, artifacts / "predictions" / f"{PREFIX}.csv")
        if evaluation.left_out:
            listed = json.dumps(evaluation.left_out, ensure_ascii=False, indent=1)
            (artifacts / "quarantined.json").write_text(listed, "utf-8", "backslashreplace")
    log_report(evaluation.report, run_logger)


def _report(
    classifier: Classifier,
    directory: Path,
    images: ImageFiles,
    predicted: Predictions,
    metrics: Mapping[str, float],
    left_out: Mapping[str, str],
) -> RenderedReport:
    names = predicted.class_names
    split = build_split_report(
        images,
        predicted,
        metrics,
        prefix=PREFIX,
        title=directory.name,
        note="The model was not trained on this dataset, unless the datasets share images.",
        heatmap_function=heatmap_function(classifier.model, images),
    )
    return render_report(
        Report(
            title=f"{classifier.model.name} on {directory.name}",
            class_names=names,
            splits=[split],
            counts={PREFIX: np.bincount(predicted.labels, minlength=len(names)).tolist()},
            quarantined=list(left_out.items()),
        )
    )


def _digest(predictions: Predictions) -> str:
    """Return the hexadecimal SHA-256 of the images and their labels."""
    digest = hashlib.sha256()
    for image, label in zip(predictions.digests, predictions.labels, strict=True):
        digest.update(f"{label}:{image}\n".encode())
    return digest.hexdigest()
