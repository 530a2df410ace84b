"""The interface of a task: all that depends on what is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pipeline.tasks.label_encoding import LabelEncoding

if TYPE_CHECKING:
    import numpy as np

    from pipeline.config import Finding
    from pipeline.evaluation.predictions import PairedDifference, Predictions
    from pipeline.evaluation.split_content import (
        ImageSelection,
        Inputs,
        SplitContent,
        SplitView,
    )
    from pipeline.models.layers import OutputLayer
    from pipeline.tasks.output_difference import OutputDifference
    from pipeline.tasks.table_column import CellValue, TableColumn
    from pipeline.training.training_config import TrainingConfig


# What a label is: the index of a class, the classes that an image is of, a number.
LabelKind = Literal["class", "classes", "number"]

# The type of what a model answers, as MLflow names them; `any` is a list or a mapping.
AnswerType = Literal["string", "double", "boolean", "any"]


class Task(Protocol):
    """The interface of a module that implements a task.

    `pipeline validate` loads it, and so does a model that MLflow serves: what it needs for training
    and evaluation, it imports inside functions.
    """

    LOSSES: tuple[str, ...]
    """The names of the losses that train the task, the default first."""

    LABEL_KIND: LabelKind
    """What a label is.

    It is `class`, an index, int (n,), or `classes`, bool (n, classes), or `number`, float32 (n,).
    """

    METRICS: tuple[str, ...]
    """The names of the metrics of a split that have no interval bound, top-k or class in them."""

    CLASS_METRICS: tuple[str, ...]
    """The names of the metrics of a class, which `NAME/CLASS` names."""

    DEFAULTS: Mapping[tuple[str, ...], Any]
    """The defaults, by the path of a key of a recipe, that are not those of classification."""

    COMPARED_METRIC: str
    """The metric by which two models are compared, the mean of `image_scores`."""

    LOSS_METRIC: str
    """The metric that decides between equal epochs and trials, the mean of `image_losses`."""

    IMBALANCE_ADVICE: str
    """What to do where some classes have far fewer images than others, in sentences."""

    RUNNING_METRICS: tuple[str, ...]
    """The names of the metrics that `running_metrics` returns for every recipe."""

    CURVE: str
    """The metric that is shown by epoch, beside the loss."""

    IS_EXCLUSIVE: bool
    """Whether an image is of exactly one class, as prediction sets and label errors need it."""

    SMOOTHS_LABELS: bool
    """Whether labels are classes, so that `regularization.label_smoothing` means something."""

    DRAWS_IMAGES: bool
    """Whether a model returns an image for an image."""

    HEATMAP_CLASS: str
    """The class whose evidence heatmaps show, in words."""

    ANSWER: Mapping[str, AnswerType]
    """The names and types of what `answer` returns."""

    def headline_metrics(self, *, is_imbalanced: bool) -> tuple[str, ...]:
        """Return the names of the most important metrics, which have intervals.

        Args:
            is_imbalanced: whether a class has about ten times as many training images as another.
        """

    def main_metrics(self, *, is_imbalanced: bool) -> tuple[str, ...]:
        """Return the names of the metrics to show first: those of the headline, and others.

        Args:
            is_imbalanced: as `headline_metrics` takes it.
        """

    def problems(self, training: TrainingConfig, classes: int | None) -> Iterator[Finding]:
        """Yield values of the section `training` that the number of classes does not allow.

        Args:
            training: the section.
            classes: their number; None if it is not known yet.
        """

    def metric_problem(self, name: str, labels: np.ndarray, class_names: Sequence[str]) -> str:
        """Return why a metric is undefined for the labels of a split, or an empty string."""

    def class_counts(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Return the images of each class, int (classes,)."""

    def is_of_class(self, labels: np.ndarray, label: int) -> np.ndarray:
        """Return whether each image is of a class, bool (n,)."""

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Return the stratum of each image, int (n,): splits have the same share of each."""

    def stratum_names(self, labels: np.ndarray, class_names: Sequence[str]) -> list[str]:
        """Return the name of each stratum of these labels, by its number."""

    def describe_label(self, label: Any, class_names: Sequence[str]) -> str:
        """Return the label of an image in words."""

    def describe_dense(self, label: np.ndarray, class_names: Sequence[str]) -> str:
        """Return a dense label, float (width,), in words; augmentation may have mixed several."""

    def output_layer(
        self, classes: int, loss: Any, labels: np.ndarray, shape: tuple[int, ...]
    ) -> OutputLayer:
        """Return the output layer of a model.

        Args:
            classes: their number.
            loss: `training.loss`.
            labels: of the training images.
            shape: of the input of the model.
        """

    def label_encoding(self, classes: int, output: OutputLayer) -> LabelEncoding:
        """Return how labels become the targets of an output layer.

        Args:
            classes: their number.
            output: what `output_layer` returned.
        """

    def running_metrics(self, classes: int, output: OutputLayer, *, top_k: int | None) -> list[Any]:
        """Return new Keras metrics for each epoch, over the outputs.

        Args:
            classes: their number.
            output: what `output_layer` returned.
            top_k: `training.top_k`.
        """

    def chance_outputs(self, targets: np.ndarray, output: OutputLayer) -> np.ndarray:
        """Return the outputs of a model that knows nothing of the images, float (n, units).

        Args:
            targets: of the images, float (n, units).
            output: what `output_layer` returned.
        """

    def outputs(self, units: np.ndarray, inputs: Inputs) -> np.ndarray:
        """Return what is evaluated of images, float64 (n, width).

        For classes they are probabilities, (n, classes).

        Args:
            units: what a model returned for the images, (n, units) or more dimensions.
            inputs: these images.
        """

    def units_fit(self, units: int, classes: int) -> bool:
        """Return whether the last layer of a model for so many classes has so many units."""

    def choose_thresholds(
        self, classes: int, validate: Callable[[], tuple[np.ndarray, np.ndarray]] | None
    ) -> np.ndarray | None:
        """Return the probability from which on an image is of each class, float (classes,).

        Args:
            classes: their number.
            validate: returns the labels of the validation images and their outputs, float
                (n, classes); None without validation images.

        Returns:
            None for a task that decides otherwise.
        """

    def decide(self, outputs: np.ndarray, thresholds: np.ndarray | None) -> np.ndarray:
        """Return the predicted labels of images, in the shape of the labels of a split.

        Args:
            outputs: float (n, width).
            thresholds: as `choose_thresholds` returned them.
        """

    def metrics(
        self,
        labels: np.ndarray,
        outputs: np.ndarray,
        thresholds: np.ndarray | None,
        *,
        top_k: int | None = None,
    ) -> dict[str, float]:
        """Return every metric of a split by name; those with an interval have `_low` and `_high`.

        Args:
            labels: of the split.
            outputs: float (n, width).
            thresholds: as `decide` takes them.
            top_k: `training.top_k`.
        """

    def metric(
        self,
        name: str,
        labels: np.ndarray,
        outputs: np.ndarray,
        thresholds: np.ndarray | None,
        class_names: Sequence[str],
    ) -> float | None:
        """Return one metric, also of one class, such as `recall/ants`; None where it is undefined.

        Raises:
            KeyError: if there is no such metric.
        """

    def class_rows(self, predictions: Predictions) -> list[dict[str, Any]]:
        """Return a row for each class: its images and metrics; undefined values are None."""

    def compare(self, first: Predictions, second: Predictions) -> PairedDifference:
        """Return the metrics of the second model minus those of the first.

        Args:
            first: predictions for some images.
            second: predictions for the same images in the same order.
        """

    def image_scores(self, predictions: Predictions) -> np.ndarray:
        """Return a number or a truth value for each image, (n,), their mean `COMPARED_METRIC`."""

    def difference(
        self, outputs: np.ndarray, expected: np.ndarray, thresholds: np.ndarray | None
    ) -> OutputDifference:
        """Return how far two computations of the outputs of the same images are apart.

        Args:
            outputs: float (n, width).
            expected: the same.
            thresholds: as `decide` takes them.
        """

    def answer(
        self, outputs: np.ndarray, thresholds: np.ndarray | None, class_names: Sequence[str]
    ) -> dict[str, Any]:
        """Return what a model answers for an image, by the names of `ANSWER`.

        Args:
            outputs: float (width,).
            thresholds: as `decide` takes them.
            class_names: in the order of the outputs.
        """

    def table_columns(self, class_names: Sequence[str], *, top: int) -> list[TableColumn]:
        """Return the columns of a table of answers.

        Args:
            class_names: in the order of the outputs.
            top: how many classes of each image the table has.
        """

    def table_cells(
        self,
        outputs: np.ndarray,
        thresholds: np.ndarray | None,
        class_names: Sequence[str],
        *,
        top: int,
    ) -> list[CellValue]:
        """Return the cells of an image in these columns.

        Args:
            outputs: float (width,).
            thresholds: as `decide` takes them.
            class_names: in the order of the outputs.
            top: as `table_columns` takes it.
        """

    def interval_note(self, *, is_imbalanced: bool) -> str:
        """Return how the intervals of a report are made, in a sentence after a colon.

        Args:
            is_imbalanced: as `headline_metrics` takes it.
        """

    def split_content(
        self, predictions: Predictions, *, title: str, view: SplitView
    ) -> SplitContent:
        """Return the tables and figures that the report shows of a split.

        Args:
            predictions: for its images.
            title: of the split.
            view: the images, and what the model makes of them.
        """

    def select_images(self, predictions: Predictions) -> list[ImageSelection]:
        """Return the images of a split that the report shows."""

    def image_losses(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return the loss of each image, (n,), whose mean is `LOSS_METRIC`."""
