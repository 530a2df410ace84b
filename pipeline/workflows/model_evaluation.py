"""Evaluates a trained model on another dataset and logs the result."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.data.image_digests import ImageDigests, read_image_digests
from pipeline.data.sampling import is_imbalanced
from pipeline.data.splits import Images
from pipeline.engines.engine import EngineName
from pipeline.errors import DataError, escape_unprintable
from pipeline.evaluation.conformal import ConformalCalibration, prediction_sets
from pipeline.evaluation.known_images import KnownImages
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import Report, render_report
from pipeline.evaluation.set_coverage import REPORTED_LEVELS, SetCoverage, set_coverage
from pipeline.even_spacing import evenly_spaced
from pipeline.inference.batch_prediction import predict
from pipeline.inference.classifier import Classifier
from pipeline.inference.graph_parity import COMPARED, GraphParity, compare_outputs
from pipeline.inference.image_classifier import ImageClassifier
from pipeline.inference.labelled_examples import find_labelled_examples
from pipeline.progress_bar import show_progress
from pipeline.stages.evaluate_splits import Evaluation
from pipeline.stages.log_run import log_evaluation, log_report, write_json
from pipeline.stages.model_view import ModelView
from pipeline.stages.run_report import build_split_report, heatmap_function, report_terms
from pipeline.stages.tracked_run import tracked_run
from pipeline.tasks.task import Task
from pipeline.tasks.tasks import TASKS
from pipeline.tracking.lookup import files_of
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.store import Store
from pipeline.tracking.stored_model import DATA, StoredModel
from pipeline.workflows.averaged_outputs import describe_views
from pipeline.workflows.evaluation_result import METRIC_PREFIX
from pipeline.workflows.view_averaging import view_averaging

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationData:
    """Labelled images.

    Attributes:
        path: a directory with a sub-directory for each class of the model, or for some; or a table
            of images with their labels.
        images: the directory that the paths in a table are relative to; None for that of the table.
    """

    path: Path
    images: Path | None = None


@dataclass(frozen=True)
class ExternalEvaluation:
    """The result of evaluating a model on another dataset.

    Attributes:
        metrics: by name, `eval_*`.
        predictions: the model's prediction for each image.
        images: these images, or rows of numbers.
        left_out: the files that could not be read, with the reason.
        known: the images that the model was trained or chosen on; None if that is unknown.
        task: what is predicted.
    """

    metrics: dict[str, float]
    predictions: Predictions
    images: Images
    left_out: dict[str, str]
    known: KnownImages | None
    task: Task

    @property
    def is_imbalanced(self) -> bool:
        """Whether a class has about ten times as many of the images as another."""
        return is_imbalanced(self.class_counts)

    @property
    def class_counts(self) -> np.ndarray:
        """The images of each class, int (classes,)."""
        return self.task.class_counts(self.predictions.labels, len(self.predictions.class_names))


def evaluate_and_log(
    classifier: ImageClassifier,
    keras_classifier: Classifier,
    data: EvaluationData,
    *,
    store: Store,
    model: StoredModel,
    views: int = 1,
) -> tuple[ExternalEvaluation, str]:
    """Evaluate a logged model on another dataset, as a child of the run that logged it.

    Args:
        classifier: the model. If it is not the Keras model, both predict some of the images, and
            the Keras model predicts all if they differ.
        keras_classifier: the Keras model, which also explains its errors.
        data: the labelled images.
        store: the tracking store.
        model: the model in the store.
        views: of each image, whose outputs are averaged.

    Returns:
        The evaluation and the id of its run.

    Raises:
        PipelineError: if the evaluation fails. In MLflow its run is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted. In MLflow its run is KILLED.
    """
    find_labelled_examples(data.path, data.images, classifier.interface)  # no run for a wrong path
    average = view_averaging(store, model, views)
    with files_of(store, model) as files:
        digests = read_image_digests(files / DATA)
    with tracked_run(
        store,
        experiment=store.client.get_experiment(model.experiment_id).name,
        name=f"{model.run_name} on {data.path.name}",
        description=f"The model {model.uri} on the images in {data.path}.",
        parent=model.run_id,
    ) as tracked:
        tracked.logger.set_tags({"evaluated_model": model.uri})
        if model.model_id:
            tracked.logger.log_input_model(model.model_id)
        if views > 1:
            tracked.logger.set_tags({"views": str(views)})
        evaluation = evaluate(average(classifier), data, digests)
        parity = None
        if classifier is not keras_classifier:
            parity = _compare_with_keras(evaluation, average(keras_classifier))
            if not parity.is_exact:
                logger.warning(f"Evaluating again with Keras, because OpenVINO differs: {parity}.")
                evaluation, parity = evaluate(average(keras_classifier), data, digests), None
        for name, reason in evaluation.left_out.items():
            logger.warning(f"Skipped {escape_unprintable(name)}: {reason}")
        _log(keras_classifier, evaluation, data.path, tracked.logger, parity, views)
    return evaluation, tracked.logger.run_id


def evaluate(
    classifier: ImageClassifier, data: EvaluationData, known: ImageDigests | None = None
) -> ExternalEvaluation:
    """Evaluate a model on labelled images.

    Args:
        classifier: the model.
        data: the images.
        known: the images that the model was trained or chosen on, if they are known. A warning
            tells how many of them are evaluated.

    Raises:
        DataError: if a class of the images is not one of the model, or no file can be read.
    """
    interface = classifier.interface
    examples = find_labelled_examples(data.path, data.images, interface)
    labels, unit = examples.labels, interface.unit
    task, names = TASKS[interface.task], interface.class_names
    counts = task.class_counts(labels, len(names)).tolist()
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        logger.warning(
            f"{data.path} has no {unit} of {', '.join(map(escape_unprintable, absent))}. Averages "
            "over classes leave them out."
        )
    digests: dict[int, str] = {}
    input_digests: dict[int, bytes] = {}  # as the digests of images that do not come from files

    def read(row: int) -> np.ndarray:
        inputs, digests[row] = examples.read(row)
        input_digests[row] = hashlib.sha256(inputs.tobytes()).digest()
        return inputs

    count = len(examples.names)
    predicted = show_progress(predict(classifier, range(count), read), count, "predicting")
    rows, outputs, unknown, left_out = [], [], [], {}
    for row, prediction in enumerate(predicted):
        if prediction.error:
            left_out[examples.names[row]] = prediction.error
        else:
            rows.append(row)
            outputs.append(prediction.outputs)
            unknown.append(bool(prediction.is_unknown))
    if not rows:
        first, reason = next(iter(left_out.items()))
        raise DataError(f"No file in {data.path} can be read. {first}: {reason}.")
    predictions = Predictions(
        class_names=interface.class_names,
        names=[examples.names[row] for row in rows],
        digests=[digests[row] for row in rows],
        labels=labels[rows],
        outputs=np.array(outputs),
        thresholds=interface.threshold_array,
    )
    values = task.metrics(predictions.labels, predictions.outputs, predictions.thresholds)
    if interface.distance:
        values["unknown"] = float(np.mean(unknown))
    metrics = {f"{METRIC_PREFIX}_{name}": value for name, value in values.items()}
    found = _known_images(known, predictions, [input_digests[row] for row in rows], unit)
    if found and (found.trained or found.chosen):
        logger.warning(f"{found}")
    return ExternalEvaluation(metrics, predictions, examples.images(rows), left_out, found, task)


def _known_images(
    known: ImageDigests | None,
    predictions: Predictions,
    pixel_digests: Sequence[bytes],
    unit: str,
) -> KnownImages | None:
    """Return the images that a model knows by their files or by their pixels."""
    if known is None:
        return None
    is_trained, is_chosen = np.zeros((2, len(predictions)), bool)
    of_files = bytes.fromhex("".join(predictions.digests))
    for digests in (of_files, b"".join(pixel_digests)):
        trained, chosen = known.find(np.frombuffer(digests, np.uint8).reshape(-1, 32))
        is_trained |= trained
        is_chosen |= chosen
    named = np.array(predictions.names, object)
    return KnownImages(
        len(predictions), named[is_trained].tolist(), named[is_chosen & ~is_trained].tolist(), unit
    )


def _compare_with_keras(evaluation: ExternalEvaluation, classifier: ImageClassifier) -> GraphParity:
    """Compare the predictions of an evaluation with those of the Keras model for some images."""
    predictions = evaluation.predictions
    indices = np.array(evenly_spaced(len(predictions), at_most=COMPARED))
    (expected,) = classifier.run([evaluation.images.read(indices)])
    return compare_outputs(
        evaluation.task,
        predictions.thresholds,
        predictions.outputs[indices],
        expected.outputs,
    )


def _log(
    classifier: Classifier,
    evaluation: ExternalEvaluation,
    directory: Path,
    run_logger: RunLogger,
    parity: GraphParity | None,
    views: int,
) -> None:
    predictions, left_out = evaluation.predictions, evaluation.left_out
    unit = classifier.interface.unit
    run_logger.log_dataset(
        METRIC_PREFIX,
        str(directory.absolute()),
        digest=_digest(predictions),
        images=len(predictions),
        context="evaluation",
    )
    counts = {f"count/{METRIC_PREFIX}": len(predictions), "count/quarantined": len(left_out)}
    if evaluation.known:
        known = {"trained": evaluation.known.trained, "chosen": evaluation.known.chosen}
        counts |= {f"count/{name}_on": len(names) for name, names in known.items()}
        if any(known.values()):
            with run_logger.log_artifacts() as artifacts:
                write_json(artifacts / "known_images.json", known)
    run_logger.log_metrics({name: float(count) for name, count in counts.items()})
    metrics = evaluation.metrics | (parity.metrics if parity else {})
    engine: EngineName = "openvino" if parity else "keras"
    computed = Evaluation(
        metrics, {METRIC_PREFIX: predictions}, engine, parity, predictions.thresholds
    )
    log_evaluation(evaluation.task, computed, run_logger)
    if left_out:
        with run_logger.log_artifacts() as artifacts:
            write_json(artifacts / "quarantined.json", left_out)
    task = evaluation.task
    split = build_split_report(
        task,
        ModelView(classifier.model, evaluation.images),
        predictions,
        evaluation.metrics,
        prefix=METRIC_PREFIX,
        title=directory.name,
        note=str(evaluation.known or f"It is not known which {unit} the model was trained on."),
        heatmaps=heatmap_function(classifier.model, evaluation.images),
    )
    # The thresholds of prediction sets are for the outputs of single images.
    conformal = classifier.interface.conformal if views == 1 else None
    split = replace(
        split,
        set_coverage=_set_coverage(predictions, conformal),
        set_note="Their thresholds come from the test images of the model.",
    )
    details = {"evaluated by": computed.computation}
    if views > 1:
        details["views"] = describe_views(views)
    report = Report(
        title=f"{classifier.model.name} on {directory.name}",
        details=details,
        class_names=predictions.class_names,
        splits=[split],
        counts={METRIC_PREFIX: evaluation.class_counts.tolist()},
        terms=report_terms(task, is_imbalanced=evaluation.is_imbalanced),
        quarantined=list(left_out.items()),
        unit=unit,
    )
    log_report(render_report(report), run_logger)


def _set_coverage(
    predictions: Predictions, conformal: ConformalCalibration | None
) -> list[SetCoverage]:
    """Return the coverage of prediction sets with the thresholds of the model."""
    if conformal is None:
        return []
    return [
        set_coverage(
            predictions,
            prediction_sets(predictions.outputs, conformal.threshold(level)),
            level,
        )
        for level in REPORTED_LEVELS
        if level <= max(conformal.thresholds, default=0.0)
    ]


def _digest(predictions: Predictions) -> str:
    """Return the hexadecimal SHA-256 of the images and their labels."""
    digest = hashlib.sha256()
    for image, label in zip(predictions.digests, predictions.labels, strict=True):
        digest.update(f"{label.tolist()}:{image}\n".encode())
    return digest.hexdigest()
