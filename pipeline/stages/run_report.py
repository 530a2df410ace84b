"""What a trained model gets wrong and where it looked, as a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data import augmentation
from pipeline.data.batches import shuffled
from pipeline.data.duplicates import is_leak
from pipeline.evaluation import grad_cam, predictions
from pipeline.evaluation.figures import Curves
from pipeline.evaluation.pictures import CaptionedImage
from pipeline.evaluation.report_page import DuplicateImages, Report, SplitReport, render_report

if TYPE_CHECKING:
    import keras

    from pipeline.data.splits import Duplicates, Images, Split, Splits
    from pipeline.evaluation.predictions import Predictions
    from pipeline.evaluation.report_page import RenderedReport
    from pipeline.recipe.grammar import Recipe
    from pipeline.recipe.loader import LoadedRecipe
    from pipeline.stages.evaluate_splits import Evaluation
    from pipeline.stages.find_label_errors import SuspectedLabel
    from pipeline.stages.train_model import TrainedModel

_MOST_MISTAKES, _MOST_UNCERTAIN, _AUGMENTED, _MOST_SUSPECTS = 12, 8, 12, 24
_MOST_DUPLICATES, _MOST_COPIES = 20, 4  # pictures; images of each in a split
_MOST_AT_ONCE = 64  # images augmented for the report where a batch is all of them

# (indices (n,), classes (n,)) → heat maps (n, height, width); None where there are none.
HeatMaps = Callable[[np.ndarray, np.ndarray], "np.ndarray | None"]


def build_report(
    loaded: LoadedRecipe,
    splits: Splits,
    trained: TrainedModel,
    judgement: Evaluation,
    suspects: Sequence[SuspectedLabel] | None,
    *,
    facts: Mapping[str, str],
    environment: Mapping[str, str],
    seconds: Mapping[str, float],
) -> RenderedReport:
    """Return the report on a run.

    The photographs in it are of the validation images: whoever studies the mistakes on the test
    images and changes the recipe has learnt from the test images.

    Args:
        loaded: the recipe.
        splits: the images.
        trained: the model.
        judgement: how good it is.
        suspects: training images that are probably mislabeled; None if they were not looked for.
        facts: what identifies the run, by name.
        environment: what it was made with.
        seconds: the time of each stage so far.
    """
    history, classes = trained.history, len(splits.class_names)
    validation = splits.validation
    reports = [
        build_split_report(
            validation.images,
            judgement.predictions["val"],
            judgement.metrics,
            prefix="val",
            title="validation",
            note="It chose the epoch, so that it is a little optimistic.",
            heat_maps=heat_map_function(
                trained.model,
                validation.images,
                lambda indices: trained.trainer.feature_maps(validation, indices),
            ),
        )
    ]
    if splits.test:
        test = judgement.predictions["test"]
        metrics = strip_prefix(judgement.metrics, "test")
        reports.append(
            SplitReport(
                "test", "test", "The test split is evaluated once, at the end.", test, metrics
            )
        )
    described = Report(
        title=loaded.recipe.name,
        description=loaded.recipe.description,
        class_names=splits.class_names,
        facts=facts,
        splits=reports,
        curves=Curves(
            history.rows,
            best_epoch=history.best_epoch,
            fine_tuned_from=history.phases[1] if len(history.phases) > 1 else None,
        ),
        augmented=_augmented(loaded.recipe, splits),
        counts={
            name: np.bincount(split.labels, minlength=classes).tolist()
            for name, split in splits.named().items()
        },
        duplicates=_duplicates(splits),
        suspicious=None if suspects is None else _suspects(splits.train, suspects),
        quarantined=[(file.name, file.reason) for file in splits.quarantined],
        recipe=loaded.text.rstrip() + "".join(f"\n# --set {s}" for s in loaded.overrides),
        environment=environment,
        seconds=seconds,
    )
    return render_report(described)


def build_split_report(
    images: Images,
    given: Predictions,
    metrics: Mapping[str, float],
    *,
    prefix: str,
    title: str,
    note: str,
    heat_maps: HeatMaps,
) -> SplitReport:
    """Return what a report says about a split, with the photographs that tell most.

    Args:
        images: the images.
        given: what the model gives them.
        metrics: those of the run; the ones that begin with `prefix` are the split's.
        prefix: of the names of metrics and pictures.
        title: what the split is called.
        note: what part it played.
        heat_maps: tells where the model looked.
    """
    mistakes = predictions.worst_mistakes(given, _MOST_MISTAKES)
    uncertain = predictions.least_certain(given, _MOST_UNCERTAIN, besides=mistakes)
    shown = np.concatenate([mistakes, uncertain])
    pictures = _pictures(images, given, shown, heat_maps)
    return SplitReport(
        prefix=prefix,
        title=title,
        note=note,
        predictions=given,
        metrics=strip_prefix(metrics, prefix),
        mistakes=pictures[: len(mistakes)],
        uncertain=pictures[len(mistakes) :],
    )


def strip_prefix(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Return the metrics of one split, without the prefix of their names."""
    start = f"{prefix}_"
    return {
        name.removeprefix(start): value for name, value in metrics.items() if name.startswith(start)
    }


def _pictures(
    images: Images, given: Predictions, numbers: np.ndarray, heat_maps: HeatMaps
) -> list[CaptionedImage]:
    pixels = images.read(numbers)
    chosen = given.chosen[numbers]
    heat = heat_maps(numbers, chosen) if len(numbers) else None
    names, confidence = given.class_names, given.confidence[numbers]
    pictures = []
    for place, number in enumerate(numbers):
        true, taken = names[given.labels[number]], names[chosen[place]]
        is_wrong = given.labels[number] != chosen[place]
        said = f"is {true} · taken for {taken}" if is_wrong else f"is {true}"
        pictures.append(
            CaptionedImage(
                pixels[place],
                given.names[number],
                f"{said} · {confidence[place]:.1%} sure",
                heat=None if heat is None else heat[place],
            )
        )
    return pictures


def _suspects(split: Split, suspects: Sequence[SuspectedLabel]) -> list[CaptionedImage]:
    shown = suspects[:_MOST_SUSPECTS]
    images = split.images.read(np.array([one.index for one in shown], np.int64))
    return [
        CaptionedImage(
            image, one.name, f"is {one.label} · {one.share:.0%} like it are {one.suggested}"
        )
        for image, one in zip(images, shown, strict=True)
    ]


def heat_map_function(
    model: keras.Model,
    images: Images,
    cached: Callable[[np.ndarray], np.ndarray | None] = lambda indices: None,
) -> HeatMaps:
    """Return what tells where a model looked.

    Args:
        model: over probabilities.
        images: what it looked at.
        cached: returns the feature maps of images by their indices, None if they are not cached.
    """
    parts = grad_cam.parts_of(model)

    def heat_maps(numbers: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
        if parts is None:
            return None
        maps = cached(numbers)
        if maps is None:
            maps = np.asarray(parts.features(images.read(numbers), training=False))
        return grad_cam.heat_maps(parts, maps, classes, image_size=images.shape[:2])

    return heat_maps


def _augmented(recipe: Recipe, splits: Splits) -> list[CaptionedImage]:
    """Return images of the first batch of training, as they are after augmentation."""
    split, size = splits.train, recipe.data.batch_size
    batches = shuffled(len(split), batch_size=size, seed=recipe.seed, epochs=1)
    numbers = next(iter(batches))[1].numpy()
    if size == "all":
        numbers = numbers[:_MOST_AT_ONCE]
    images = split.images.read(numbers)
    labels = np.eye(len(splits.class_names), dtype=np.float32)[split.labels[numbers]]
    layers = augmentation.build_augmentation(
        recipe.data.augmentation, image_size=splits.image_shape[:2]
    )
    if layers:
        images, labels = augmentation.augmenter(layers, seed=recipe.seed)(images, labels, 0)
        images, labels = np.asarray(images).round().astype(np.uint8), np.asarray(labels)
    return [
        CaptionedImage(image, split.names[number], _mixture(label, splits.class_names))
        for number, image, label in zip(numbers[:_AUGMENTED], images, labels, strict=False)
    ]


def _duplicates(splits: Splits) -> list[DuplicateImages] | None:
    """Return the pictures that are there more than once, those in several splits first."""
    if splits.duplicates is None:
        return None
    in_order = sorted(splits.duplicates, key=lambda copies: not is_leak(copies))
    return [_copies(splits, copies) for copies in in_order[:_MOST_DUPLICATES]]


def _copies(splits: Splits, copies: Duplicates) -> DuplicateImages:
    """Return images that show the same picture, the first few of each split."""
    pictures = []
    for name, split in splits.named().items():
        for copy in [copy for copy in copies if copy.split == name][:_MOST_COPIES]:
            image = split.images.read(np.array([copy.index]))[0]
            pictures.append(
                CaptionedImage(image, copy.name, f"{splits.class_names[copy.label]} · {name}")
            )
    return DuplicateImages(pictures, is_leak=is_leak(copies))


def _mixture(shares: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Return a class, or the classes that augmentation mixed."""
    present = np.flatnonzero(shares > 0.005)
    if len(present) == 1:
        return class_names[present[0]]
    return " + ".join(f"{shares[label]:.0%} {class_names[label]}" for label in present)
