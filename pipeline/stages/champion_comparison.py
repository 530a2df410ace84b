"""Compares a new model with the champion on images that neither was trained or chosen on.

The first comparison on a split, or with a champion, must be significant at a level of 2.5 %, and
each further one at a lower level. So a champion loses its place to models that are no better in at
most 2.5 % of cases, however many there are and whichever images they are compared on: half of the
5 % that the levels add up to, because the difference must be above 0. It is no protection from
changes that were made because of the errors of earlier models on the same test images.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data.image_digests import read_image_digests
from pipeline.data.splits import Split, Splits
from pipeline.errors import ModelError
from pipeline.evaluation.intervals import ConfidenceInterval
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.significance import level_of_comparison, min_images_to_differ
from pipeline.inference.batch_prediction import predict
from pipeline.inference.image_classifier import ImageClassifier, load_image_classifier
from pipeline.recipe.grammar import Recipe
from pipeline.stages.comparable_images import PREFIXES, comparable_images, images_digest
from pipeline.stages.verify_model import image_reader
from pipeline.tracking import registry
from pipeline.tracking.lookup import files_of
from pipeline.tracking.registry import Champion
from pipeline.tracking.store import Store
from pipeline.tracking.stored_model import DATA

logger = logging.getLogger(__name__)

_ELIGIBLE = {
    "test": "that neither model was trained or chosen on",
    "validation": "that both models were chosen on and neither was trained on",
}


@dataclass(frozen=True)
class ChampionComparison:
    """A new model compared with the champion.

    Attributes:
        images: the number of images that they were compared on.
        comparisons: their number, with this one, which the level is corrected for.
        level: that the p-value must not exceed.
        metric: the name of the one that decides.
        difference: of the metric, new minus champion; None if the images are too few for a
            significant one.
        p_value: of a test that the models are equal; 1 without a difference.
        is_improvement: whether the new model is better, be it by chance.
    """

    images: int
    comparisons: int
    level: float
    metric: str
    difference: ConfidenceInterval | None = None
    p_value: float = 1.0
    is_improvement: bool = False

    @property
    def is_better(self) -> bool:
        """Whether the new model is significantly better."""
        return self.is_improvement and self.p_value <= self.level

    def __str__(self) -> str:
        if self.difference is None:
            return "not compared"
        low, high = self.difference.low, self.difference.high
        return (
            f"{self.metric} {self.difference.value:+.4f} ({low:+.3f} to {high:+.3f}), "
            f"p-value {self.p_value:.2g} where at most {self.level:.2g} is significant"
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The comparison as metrics, `champion/…`."""
        metrics = {
            "champion/count": float(self.images),
            "champion/comparisons": float(self.comparisons),
            "champion/significance_level": self.level,
        }
        if self.difference:
            metrics["champion/p_value"] = self.p_value
            metrics |= self.difference.metrics(f"champion/{self.metric}_difference")
        return metrics


def compare_with_champion(
    champion: Champion,
    version: str,
    recipe: Recipe,
    splits: Splits,
    predicted: Predictions,
    *,
    store: Store,
) -> ChampionComparison:
    """Compare a new model with the champion, and record that in the registry.

    Args:
        champion: the champion. It predicts the images, read as its interface requires.
        version: of the new model.
        recipe: `tracking.promote_on` names the split.
        splits: the new model's images.
        predicted: its predictions for that split.
        store: contains both.

    Raises:
        PipelineError: if the champion cannot be loaded, has other classes, cannot read the images,
            or it is unknown what it was trained on; or if the registry cannot be used.
    """
    with files_of(store, champion.model) as directory:
        classifier = load_image_classifier(directory / DATA)
        known = read_image_digests(directory / DATA)
    if known is None:
        raise ModelError(
            f"{champion.model.uri} cannot be compared: the digests of its training data are not "
            "among its files. Register a model that this version trained, and set the alias "
            f"`{registry.CHAMPION}` of {champion.name} to it in the MLflow UI."
        )
    if classifier.interface.task != recipe.data.task:
        raise ModelError(
            f"{champion.model.uri} cannot be compared: its task is {classifier.interface.task}. "
            f"The new model's is {recipe.data.task}."
        )
    names = classifier.interface.class_names
    if set(names) != set(predicted.class_names):
        raise ModelError(
            f"{champion.model.uri} cannot be compared: its classes are {', '.join(names)}. The new "
            f"model's are {', '.join(predicted.class_names)}."
        )
    kind, metric = recipe.tracking.promote_on, recipe.task.COMPARED_METRIC
    split = splits.named()[PREFIXES[kind]]
    indices = comparable_images(splits, kind, known)
    digest = images_digest(split)
    counts = registry.count_comparisons(store, champion, digest)
    level = level_of_comparison(counts.largest + 1)
    needed = min_images_to_differ(level)
    if len(indices) < needed:
        logger.warning(
            f"Not compared with {champion.model.uri}: of {len(split):,} {kind} {splits.unit}, "
            f"{len(indices):,} remain {_ELIGIBLE[kind]}. At least {needed} are needed. Train with "
            f"the champion's splits: the same data.split_seed, or data with a {kind} split."
        )
        return ChampionComparison(len(indices), counts.largest, level, metric)
    registry.record_comparison(store, version, champion, digest)
    counts = registry.count_comparisons(store, champion, digest)
    new = predicted.subset(indices)
    old = _champion_predictions(champion, classifier, recipe, split, new, indices)
    difference = recipe.task.compare(old, new)
    comparison = ChampionComparison(
        len(indices),
        counts.largest,
        level_of_comparison(counts.largest),
        metric,
        difference.decisive,
        difference.p_value,
        difference.is_improvement,
    )
    logger.info(
        f"Compared with {champion.model.uri} on {len(indices):,} of {len(split):,} {kind} "
        f"{splits.unit}, those {_ELIGIBLE[kind]}: {comparison}. It is comparison "
        f"{counts.images} on this {kind} split, and {counts.champion} with this champion."
    )
    return comparison


def _champion_predictions(
    champion: Champion,
    classifier: ImageClassifier,
    recipe: Recipe,
    split: Split,
    new: Predictions,
    indices: np.ndarray,
) -> Predictions:
    """Return the champion's predictions for images of a split, in the order of the new model's.

    Raises:
        ModelError: if it cannot read one of the images.
    """
    names = classifier.interface.class_names
    order = [names.index(name) for name in new.class_names] if names else slice(None)
    read = image_reader(recipe, split, classifier.interface)
    rows = []
    for answer in predict(classifier, indices.tolist(), read):
        if answer.outputs is None:
            raise ModelError(
                f"{champion.model.uri} cannot be compared: {split.names[answer.item]}: "
                f"{answer.error}."
            )
        rows.append(answer.outputs[order])
    thresholds = classifier.interface.threshold_array
    return replace(
        new,
        outputs=np.stack(rows),
        thresholds=None if thresholds is None else thresholds[order],
    )
