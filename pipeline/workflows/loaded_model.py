"""A trained model, as `pipeline.load` returns it: to predict, to evaluate, to take along."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backend import quiet_imports
from pipeline.html_table import html_table
from pipeline.inference.prediction_table import PredictionTable, image_prediction
from pipeline.workflows.averaged_outputs import check_views
from pipeline.workflows.evaluation_result import EvaluationResult

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier
    from pipeline.inference.image_classifier import ImageClassifier
    from pipeline.tracking.store import Store
    from pipeline.tracking.stored_model import StoredModel

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Model:
    """A trained model, as `load` returns it.

    Attributes:
        name: the name of the run that trained it.
        run_id: the id of that run.
        uri: the model's address, as MLflow's loaders take it.
        class_names: the classes, in the order of the outputs.
        image_size: height and width in pixels that images are scaled to; None for numbers.
        classifier: what `predict` classifies with.
        stored: the model in the tracking store.
        address: the tracking URI of that store, with the password if there is one.
    """

    name: str
    run_id: str
    uri: str
    class_names: tuple[str, ...]
    image_size: tuple[int, int] | None
    classifier: ImageClassifier = field(repr=False)
    stored: StoredModel = field(repr=False)
    address: str = field(repr=False)

    @functools.cached_property
    def store(self) -> Store:
        """The tracking store."""
        with quiet_imports():
            from pipeline.tracking.store import open_store
        return open_store(self.address)

    @property
    def keras_model(self) -> Any:
        """The Keras model: raw RGB pixels from 0 to 255, or numbers, in, outputs out."""
        return self.keras_classifier.model

    @functools.cached_property
    def keras_classifier(self) -> Classifier:
        """The Keras model with its interface; it is `classifier` where that is Keras."""
        with quiet_imports():
            from pipeline.inference.classifier import Classifier, load_classifier
            from pipeline.tracking.lookup import files_of
            from pipeline.tracking.stored_model import DATA
        if isinstance(self.classifier, Classifier):
            return self.classifier
        with files_of(self.store, self.stored) as directory:
            return load_classifier(directory / DATA)

    def predict(
        self,
        paths: StrPath | Sequence[StrPath],
        *,
        confidence_level: float | None = None,
        views: int = 1,
    ) -> PredictionTable:
        """Predict images, or the rows of tables.

        Args:
            paths: image files, directories of images or patterns such as `photographs/**/*.jpg`;
                for a model of numbers, tables with a column for each of them. One or several.
            confidence_level: the probability, such as 0.9, with which a prediction set contains the
                true class; None for no sets.
            views: the outputs are means over so many views of each image: itself and random ones,
                by the augmentation of the model's recipe.

        Returns:
            A prediction for each image or row. One that cannot be read has an `error`.

        Raises:
            UsageError: if there is no image at one of the paths, the model has no prediction sets
                at the confidence level, or no views can be made.
        """
        from pipeline.inference.batch_prediction import predict
        from pipeline.inference.model_inputs import find_inputs, input_reader

        check_views(views, confidence_level)
        interface = self.classifier.interface
        threshold = interface.set_threshold(confidence_level)
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        items = find_inputs([os.fspath(path) for path in given], interface)
        classifier = self.classifier
        if views > 1:
            with quiet_imports():
                from pipeline.workflows.view_averaging import view_averaging

            classifier = view_averaging(self.store, self.stored, views)(classifier)
        predictions = predict(classifier, items, input_reader(interface))
        table = (image_prediction(each, interface, threshold) for each in predictions)
        return PredictionTable(table)

    def evaluate(
        self, data: StrPath, *, images: StrPath | None = None, views: int = 1
    ) -> EvaluationResult:
        """Evaluate the model on another dataset; metrics and report become a child of its run.

        >>> pipeline.load("latest").evaluate("new_photographs").metrics["eval_accuracy"]

        Args:
            data: a directory with a sub-directory for each class, or for some, named like the
                model's classes; or a table of images, or of numbers, with their labels.
            images: the directory that the paths in a table are relative to; None for that of the
                table.
            views: as in `predict`.

        Raises:
            UsageError: if there is no such data, or no views can be made.
            PipelineError: if the evaluation fails. Its status in MLflow is FAILED, with the reason.
            KeyboardInterrupt: if it is interrupted. Its status in MLflow is KILLED.
        """
        with quiet_imports():
            from pipeline.workflows.model_evaluation import EvaluationData, evaluate_and_log

        check_views(views)
        evaluation, run_id = evaluate_and_log(
            self.classifier,
            self.keras_classifier,
            EvaluationData(Path(data), None if images is None else Path(images)),
            store=self.store,
            model=self.stored,
            views=views,
        )
        interface = self.classifier.interface
        return EvaluationResult(
            run_id=run_id,
            model=self.name,
            data=os.fspath(data),
            task=interface.task,
            metrics=evaluation.metrics,
            count=len(evaluation.predictions),
            unit=interface.unit,
            views=views,
            is_imbalanced=evaluation.is_imbalanced,
            tracking_uri=self.store.uri,
        )

    def _repr_html_(self) -> str:
        rows = [
            ("run", self.run_id),
            ("model", self.uri),
            ("classes", ", ".join(self.class_names)),
            self.classifier.interface.describe_input(),
        ]
        return html_table(self.name, ("", ""), rows)
