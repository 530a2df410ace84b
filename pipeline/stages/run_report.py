"""The report on a run: what the model gets wrong, and which regions of the images support that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import keras
import numpy as np
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.batches import shuffled
from pipeline.data.duplicates import is_leak
from pipeline.data.sampling import is_imbalanced
from pipeline.data.splits import Duplicates, Images, Split, Splits
from pipeline.evaluation import grad_cam
from pipeline.evaluation.captioned_images import CaptionedImage
from pipeline.evaluation.cross_validation import CrossValidation
from pipeline.evaluation.figures import LearningCurves
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import (
    DuplicateGroup,
    ImageSheet,
    RenderedReport,
    Report,
    SplitReport,
    render_report,
)
from pipeline.evaluation.split_content import ImageSelection, ReportTerms
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import LoadedRecipe
from pipeline.stages.calibrate_model import ModelCalibration
from pipeline.stages.evaluate_splits import Evaluation
from pipeline.stages.find_label_errors import SuspectedLabel
from pipeline.stages.input_pictures import draw_input_pictures
from pipeline.stages.model_view import ModelView
from pipeline.stages.train_model import TrainedModel, augmentation_layers
from pipeline.stages.training_pictures import training_pictures
from pipeline.tasks.task import Task

_MAX_AUGMENTED, _MAX_LABEL_ERRORS = 12, 24
_MAX_DUPLICATES, _MAX_COPIES = 20, 4  # groups; copies of each in a split
_MAX_BATCH = 64  # images augmented for the report where the batch is the whole split

_TITLES = {  # of each split, and how it was used
    "val": ("Validation", "Used to choose the epoch, so slightly optimistic."),
    "test": ("Test", "Evaluated once, at the end."),
}

_CALIBRATION_NOTE = (
    "The test split calibrates the sets: here, the threshold for each prediction comes from all "
    "the others."
)

# (indices (n,), classes (n,)) → heatmaps (n, height, width); None where the model has none.
HeatmapFunction = Callable[[np.ndarray, np.ndarray], "np.ndarray | None"]


def build_report(
    loaded: LoadedRecipe,
    splits: Splits,
    trained: TrainedModel,
    evaluation: Evaluation,
    label_errors: Sequence[SuspectedLabel] | None,
    *,
    calibration: ModelCalibration,
    folds: CrossValidation | None,
    details: Mapping[str, str],
    environment: Mapping[str, str],
    seconds: Mapping[str, float],
) -> RenderedReport:
    """Render the report on a run.

    It shows test images only if there are no validation images: tuning a recipe by its errors on
    test images would overfit it to the test split.

    Args:
        loaded: the recipe.
        splits: the images.
        trained: the model.
        evaluation: its metrics and predictions.
        label_errors: training images that are probably mislabeled; None if not searched for.
        calibration: of the model.
        folds: the result of cross-validation, None without it.
        details: what identifies the run, by name.
        environment: versions, by name.
        seconds: the duration of each stage so far.
    """
    history, task = trained.history, loaded.recipe.task
    reports: list[SplitReport] = []
    for prefix, predictions in evaluation.predictions.items():
        title, note = _TITLES[prefix]
        split, heatmaps = splits.named()[prefix], None
        if not reports:
            cached_maps = partial(trained.trainer.feature_maps, split)
            heatmaps = heatmap_function(trained.model, split.images, cached_maps)
        split_report = build_split_report(
            task,
            ModelView(trained.model, split.images),
            predictions,
            evaluation.metrics,
            prefix=prefix,
            title=title,
            note=note,
            heatmaps=heatmaps,
        )
        if prefix == "test":
            split_report = replace(
                split_report, set_coverage=calibration.coverage, set_note=_CALIBRATION_NOTE
            )
        reports.append(split_report)
    report = Report(
        title=loaded.recipe.name,
        description=loaded.recipe.description,
        class_names=splits.class_names,
        details=details,
        splits=reports,
        curves=LearningCurves(
            history.rows,
            task.CURVE,
            best_epoch=history.best_epoch,
            frozen_epochs=history.phases[1] if len(history.phases) > 1 else None,
            near_best=int(evaluation.metrics.get("near_best_epochs", 0)),
        ),
        training_pictures=training_pictures(loaded.recipe, splits, trained),
        folds=folds,
        pictures=draw_input_pictures(splits, trained),
        augmented=_augmented_images(loaded.recipe, splits) if splits.are_images else (),
        counts={name: splits.class_counts(name).tolist() for name in splits.named()},
        terms=report_terms(task, is_imbalanced=is_imbalanced(splits.class_counts("train"))),
        duplicates=_duplicate_groups(splits),
        label_errors=(
            None if label_errors is None else _label_error_images(splits.train, label_errors)
        ),
        quarantined=[(file.name, file.reason) for file in splits.quarantined],
        ignored=splits.ignored,
        recipe=loaded.text.rstrip() + "".join(f"\n# --set {s}" for s in loaded.overrides),
        environment=environment,
        seconds=seconds,
        unit=splits.unit,
    )
    return render_report(report)


def build_split_report(
    task: Task,
    view: ModelView,
    predictions: Predictions,
    metrics: Mapping[str, float],
    *,
    prefix: str,
    title: str,
    note: str,
    heatmaps: HeatmapFunction | None,
) -> SplitReport:
    """Return the results on a split, with its most informative images.

    Args:
        task: what is predicted.
        view: the images of the split, and the model.
        predictions: for these images.
        metrics: of the run; those of the split start with `prefix`.
        prefix: of the names of metrics and figures.
        title: of the section.
        note: on how the split was used.
        heatmaps: returns Grad-CAM heatmaps of the images; None to show no images.
    """
    sheets = []
    if heatmaps and view.are_images:
        selections = task.select_images(predictions)
        # All at once, because what computes the feature maps of heatmaps is compiled in each call.
        captioned = iter(_captioned(view.images, predictions, selections, heatmaps))
        for one in selections:
            shown = list(islice(captioned, len(one.indices)))
            sheets.append(ImageSheet(one.name, one.title, shown))
    return SplitReport(
        prefix=prefix,
        title=title,
        note=note,
        images=len(predictions),
        metrics=metrics_of_split(metrics, prefix),
        content=task.split_content(predictions, title=title, view=view),
        sheets=sheets,
    )


def report_terms(task: Task, *, is_imbalanced: bool) -> ReportTerms:
    """Return what a report calls by the name that the task has for it.

    Args:
        task: what is predicted.
        is_imbalanced: whether the classes are of very different sizes.
    """
    return ReportTerms(
        headline=task.headline_metrics(is_imbalanced=is_imbalanced),
        of_folds=task.main_metrics(is_imbalanced=True),
        interval_note=task.interval_note(is_imbalanced=is_imbalanced),
        heatmap_class=task.HEATMAP_CLASS,
    )


def metrics_of_split(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Return the metrics of one split, without the prefix in their names."""
    start = f"{prefix}_"
    return {
        name.removeprefix(start): value for name, value in metrics.items() if name.startswith(start)
    }


def heatmap_function(
    model: keras.Model,
    images: Images,
    cached_maps: Callable[[np.ndarray], np.ndarray | None] = lambda indices: None,
) -> HeatmapFunction:
    """Return a function that computes Grad-CAM heatmaps of images.

    Args:
        model: the classifier.
        images: the images to explain.
        cached_maps: maps indices to the feature maps of the images, or to None if not cached.
    """
    split_model = grad_cam.split_for_grad_cam(model)

    def heatmaps(indices: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
        if split_model is None:
            return None
        maps = cached_maps(indices)
        if maps is None:
            maps = np.asarray(split_model.features(images.read(indices), training=False))
        height, width, _ = images.shape
        return grad_cam.compute_heatmaps(split_model, maps, classes, image_size=(height, width))

    return heatmaps


def _captioned(
    images: Images,
    predictions: Predictions,
    selections: Sequence[ImageSelection],
    heatmap_function: HeatmapFunction,
) -> list[CaptionedImage]:
    """Return the images of all selections, one after another."""
    indices = np.concatenate([selection.indices for selection in selections])
    if not len(indices):
        return []
    classes = np.concatenate([selection.classes for selection in selections])
    captions = [caption for selection in selections for caption in selection.captions]
    heatmaps = heatmap_function(indices, classes)
    rows = zip(images.read(indices), indices.tolist(), captions, strict=True)
    return [
        CaptionedImage(
            pixels,
            predictions.names[index],
            caption,
            None if heatmaps is None else heatmaps[position],
        )
        for position, (pixels, index, caption) in enumerate(rows)
    ]


def _label_error_images(
    split: Split, label_errors: Sequence[SuspectedLabel]
) -> list[CaptionedImage]:
    shown = label_errors[:_MAX_LABEL_ERRORS]
    images = split.images.read(np.array([error.index for error in shown], np.int64))
    captions = [f"label: {e.label} · suggested: {e.suggested} ({e.confidence:.0%})" for e in shown]
    names = [error.name for error in shown]
    return list(map(CaptionedImage, images, names, captions))


def _augmented_images(recipe: Recipe, splits: Splits) -> list[CaptionedImage]:
    """Return images of the first training batch after augmentation."""
    split, size = splits.train, recipe.data.batch_size
    batches = shuffled(
        split.strata,
        batch_size=size,
        seed=recipe.seed,
        epochs=1,
        sampling=recipe.data.sampling,
    )
    indices = next(iter(batches))[1].numpy()
    if size == "all":
        indices = indices[:_MAX_BATCH]
    images = split.images.read(indices)
    dense = recipe.label_encoding(splits).dense
    labels = dense(tf.constant(split.labels[indices]))
    layers = augmentation_layers(recipe, splits)
    if layers:
        images, labels = augmenter(layers, seed=recipe.seed)(images, labels, 0)
        images = np.asarray(images).round().astype(np.uint8)
    return [
        CaptionedImage(
            image, split.names[index], recipe.task.describe_dense(label, splits.class_names)
        )
        for index, image, label in zip(
            indices[:_MAX_AUGMENTED], images, labels.numpy(), strict=False
        )
    ]


def _duplicate_groups(splits: Splits) -> list[DuplicateGroup] | None:
    """Return groups of duplicates, those across splits first."""
    if splits.duplicates is None:
        return None
    leaks_first = sorted(splits.duplicates, key=lambda copies: not is_leak(copies))
    return [_duplicate_group(splits, copies) for copies in leaks_first[:_MAX_DUPLICATES]]


def _duplicate_group(splits: Splits, copies: Duplicates) -> DuplicateGroup:
    """Return the first copies in each split."""
    images = []
    for name, split in splits.named().items():
        for copy in [copy for copy in copies if copy.split == name][:_MAX_COPIES]:
            image = split.images.read(np.array([copy.index]))[0]
            label = split.task.describe_label(split.labels[copy.index], splits.class_names)
            caption = f"{label} · {name}"
            images.append(CaptionedImage(image, copy.name, caption))
    return DuplicateGroup(images, is_leak=is_leak(copies))
