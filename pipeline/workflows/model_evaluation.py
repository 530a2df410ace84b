"""From a trained model and a folder of other images to metrics: the story of `evaluate`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.image_decoding import read_image_file
from pipeline.data.labelled_directory import find_labelled_files
from pipeline.errors import DataError
from pipeline.evaluation import predictions
from pipeline.evaluation.metrics import classification_metrics
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import Report, render_report
from pipeline.inference.classifier import Classifier
from pipeline.inference.file_images import FileImages
from pipeline.inference.prediction import Prediction, predict
from pipeline.stages.log_run import log_report
from pipeline.stages.run_report import build_split_report, heat_map_function
from pipeline.tracking import run_logger as recording

if TYPE_CHECKING:
    from pipeline.evaluation.report_page import RenderedReport
    from pipeline.tracking.lookup import StoredModel
    from pipeline.tracking.store import Store

PREFIX = "eval"

ShowProgress = Callable[[Iterator[Prediction[Path]], int], Iterator[Prediction[Path]]]


@dataclass(frozen=True)
class ExternalEvaluation:
    """How good a model is on other images.

    Attributes:
        metrics: by name, `eval_*`.
        predictions: what the model gives each image.
        left_out: the files that could not be read, with the reason.
        report: what it gets wrong, and where it looked.
    """

    metrics: dict[str, float]
    predictions: Predictions
    left_out: dict[str, str]
    report: RenderedReport


def evaluate(classifier: Classifier, folder: Path, *, shown: ShowProgress) -> ExternalEvaluation:
    """Judge a model by the images in a folder, which has a folder a class.

    Args:
        classifier: the model.
        folder: its classes are matched with the model's by name.
        shown: passes predictions on, and shows how far they have come of so many.

    Raises:
        DataError: if the folder's classes are not the model's, or no file can be read.
    """
    names = classifier.interface.class_names
    files, labels = find_labelled_files(folder, names)
    digests: dict[Path, str] = {}

    def read(path: Path) -> np.ndarray:
        data = read_image_file(path)
        digests[path] = hashlib.sha256(data).hexdigest()
        return classifier.interface.decode(data)

    answers = list(shown(predict(classifier, files, read), len(files)))
    kept = [place for place, answer in enumerate(answers) if not answer.error]
    left_out = {
        str(answer.item.relative_to(folder)): answer.error for answer in answers if answer.error
    }
    if not kept:
        first, reason = next(iter(left_out.items()))
        raise DataError(f"No file in {folder} can be read. {first}: {reason}.")
    predictions = Predictions(
        class_names=names,
        names=[str(files[place].relative_to(folder)) for place in kept],
        digests=[digests[files[place]] for place in kept],
        labels=np.array([labels[place] for place in kept], np.int64),
        probabilities=np.array([answers[place].probabilities for place in kept]),
    )
    values = classification_metrics(
        predictions.labels, predictions.probabilities, class_names=names
    )
    metrics = {f"{PREFIX}_{name}": value for name, value in values.items()}
    images = FileImages([files[place] for place in kept], classifier.interface)
    report = _report(classifier, folder, images, predictions, metrics, left_out)
    return ExternalEvaluation(metrics, predictions, left_out, report)


def log_external_evaluation(
    evaluation: ExternalEvaluation,
    folder: Path,
    *,
    store: Store,
    model: StoredModel,
) -> str:
    """Record an evaluation as a child of the run that logged the model; return its run id.

    Raises:
        TrackingError: if the store does not take it.
    """
    given = evaluation.predictions
    count = len(given)
    run_logger = recording.start_run(
        store,
        experiment=store.client.get_experiment(model.experiment_id).name,
        name=f"{model.run_name} on {folder.name}",
        description=f"The model {model.uri} on the images in {folder}.",
        parent=model.run_id,
    )
    run_logger.tags({"evaluated_model": model.uri})
    run_logger.dataset(
        name=folder.name,
        digest=_digest(given),
        source_type="local",
        source=json.dumps({"uri": str(folder.absolute())}),
        counts={PREFIX: count},
    )
    left_out = {f"images/{PREFIX}": count, "images/quarantined": len(evaluation.left_out)}
    run_logger.metrics(
        evaluation.metrics | {name: float(value) for name, value in left_out.items()}
    )

    def write(place: Path) -> None:
        (place / "predictions").mkdir()
        predictions.write_predictions(given, place / "predictions" / f"{PREFIX}.csv")
        if evaluation.left_out:
            listed = json.dumps(evaluation.left_out, ensure_ascii=False, indent=1)
            (place / "quarantined.json").write_text(listed, "utf-8")

    run_logger.artifacts(write)
    log_report(evaluation.report, run_logger)
    run_logger.close("FINISHED")
    return run_logger.run_id


def _report(
    classifier: Classifier,
    folder: Path,
    images: FileImages,
    given: Predictions,
    metrics: Mapping[str, float],
    left_out: Mapping[str, str],
) -> RenderedReport:
    names = given.class_names
    split = build_split_report(
        images,
        given,
        metrics,
        prefix=PREFIX,
        title=folder.name,
        note="The model has not been trained or chosen by it, unless its images were.",
        heat_maps=heat_map_function(classifier.model, images),
    )
    return render_report(
        Report(
            title=f"{classifier.model.name} on {folder.name}",
            class_names=names,
            splits=[split],
            counts={PREFIX: np.bincount(given.labels, minlength=len(names)).tolist()},
            quarantined=list(left_out.items()),
        )
    )


def _digest(predictions: Predictions) -> str:
    """Return the hexadecimal SHA-256 of the images and of their labels."""
    digest = hashlib.sha256()
    for image, label in zip(predictions.digests, predictions.labels, strict=True):
        digest.update(f"{label}:{image}\n".encode())
    return digest.hexdigest()
