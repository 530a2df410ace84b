"""The model in the registry: its version, and whether it is better than the champion."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import PipelineError
from pipeline.evaluation.predictions import difference
from pipeline.inference import classifier as classifiers
from pipeline.inference.prediction import predict
from pipeline.stages.verify_model import image_reader
from pipeline.tracking import registry
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.mlflow_model import DATA
from pipeline.tracking.run_logger import log_metrics_after_end

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.data.splits import Split, Splits
    from pipeline.evaluation.predictions import Predictions
    from pipeline.recipe.grammar import Recipe
    from pipeline.tracking.lookup import StoredModel
    from pipeline.tracking.store import Store


@dataclass(frozen=True)
class RegisteredModel:
    """What became of a model in the registry.

    Attributes:
        version: its number.
        is_champion: whether the alias `champion` is at this version now.
        metrics: `champion/accuracy_difference` and its bounds, how much better than the champion
            before it is on the same images; nothing where there was none.
    """

    version: str
    is_champion: bool
    metrics: dict[str, float]


def register_model(
    recipe: Recipe,
    run_id: str,
    splits: Splits,
    judged: Mapping[str, Predictions],
    *,
    store: Store,
) -> RegisteredModel | None:
    """Register a run's model, and promote it if the recipe wants it and it is better.

    It is better where the interval of the difference in accuracy, paired image by image, is above
    0 on the test images, or on the validation images where there are no test images. The champion
    sees the same images, read as it reads them.

    Args:
        recipe: `tracking.register` and `tracking.promote`.
        run_id: the run, with everything delivered.
        splits: the images.
        judged: what the new model gives the images of each split.
        store: the store that the run is in.

    Returns:
        What became of it; None where the recipe names no model, or where that failed, which is said
        and does not fail the run.
    """
    name = recipe.tracking.register_as
    if not name:
        return None
    try:
        version = registry.register(store, find_model(store, run_id), name)
        logger.info(f"Registered as version {version} of {name}")
        if recipe.tracking.promote is None:
            return RegisteredModel(version, False, {})
        champion = registry.champion(store, name)
        metrics: dict[str, float] = {}
        if champion:
            metrics = _against(champion, recipe, splits, judged, store=store)
            log_metrics_after_end(store, run_id, metrics)
        if not champion or metrics.get("champion/accuracy_difference_low", 0.0) > 0:
            registry.promote(store, name, version)
            logger.info(f"Version {version} of {name} is the champion now")
            return RegisteredModel(version, True, metrics)
        logger.info(f"The champion of {name} stays {champion.uri}")
        return RegisteredModel(version, False, metrics)
    except PipelineError as error:
        logger.warning(f"{error}")
        return None


def _against(
    champion: StoredModel,
    recipe: Recipe,
    splits: Splits,
    judged: Mapping[str, Predictions],
    *,
    store: Store,
) -> dict[str, float]:
    prefix = "test" if splits.test else "val"
    split = splits.test or splits.validation
    before = _predicted(champion, recipe, split, judged[prefix], store)
    found = difference(before, judged[prefix]).accuracy
    logger.info(
        f"Against {champion.uri} on the same {len(split):,} {prefix} images: accuracy "
        f"{found.value:+.4f} ({found.low:+.3f} to {found.high:+.3f})"
    )
    return {
        "champion/accuracy_difference": found.value,
        "champion/accuracy_difference_low": found.low,
        "champion/accuracy_difference_high": found.high,
    }


def _predicted(
    champion: StoredModel, recipe: Recipe, split: Split, judged: Predictions, store: Store
) -> Predictions:
    """Return what the champion gives the images of a split.

    Raises:
        PipelineError: if it cannot be loaded, knows other classes, or cannot read the images.
    """
    with files_of(store, champion) as folder:
        classifier = classifiers.load_classifier(folder / DATA)
    names = classifier.interface.class_names
    if set(names) != set(judged.class_names):
        raise PipelineError(
            f"{champion.uri} cannot be compared: its classes are {', '.join(names)}. The new "
            f"model's are {', '.join(judged.class_names)}."
        )
    read = image_reader(recipe, split, classifier.interface)
    rows = []
    for answer in predict(classifier, range(len(split)), read):
        if answer.probabilities is None:
            raise PipelineError(
                f"{champion.uri} cannot be compared: {split.names[answer.item]}: {answer.error}."
            )
        rows.append(answer.probabilities)
    columns = [names.index(name) for name in judged.class_names]
    return replace(judged, probabilities=np.array(rows)[:, columns])
