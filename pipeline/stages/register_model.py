"""Registers a model, and promotes it if it is better than the champion."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data.splits import Split, Splits
from pipeline.errors import PipelineError
from pipeline.evaluation.predictions import Predictions, paired_difference
from pipeline.inference import classifier as classifiers
from pipeline.inference.batch_prediction import predict
from pipeline.recipe.grammar import Recipe
from pipeline.stages.verify_model import image_reader
from pipeline.tracking import registry
from pipeline.tracking.lookup import StoredModel, files_of, find_model
from pipeline.tracking.mlflow_model import DATA
from pipeline.tracking.run_logger import log_metrics_after_end
from pipeline.tracking.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredModel:
    """A model's version in the registry.

    Attributes:
        version: its number.
        is_champion: whether the alias `champion` points to it.
        metrics: `champion/accuracy_difference` and its interval, the difference to the previous
            champion on the same images; empty if there was none.
    """

    version: str
    is_champion: bool
    metrics: dict[str, float]


def register_model(
    recipe: Recipe,
    run_id: str,
    splits: Splits,
    predicted: Mapping[str, Predictions],
    *,
    store: Store,
) -> RegisteredModel | None:
    """Register a run's model, and promote it if the recipe asks for that and it is better.

    It is better if the interval of the paired difference in accuracy is above 0 on the test images,
    or on the validation images if there are no test images. The champion predicts the same images,
    read as its interface requires.

    Args:
        recipe: `tracking.register` and `tracking.promote`.
        run_id: a finished run without an outbox.
        splits: the images.
        predicted: the new model's predictions for each split.
        store: contains the run.

    Returns:
        The version; None if the recipe names no registered model, or if registering failed, which
        is a warning and does not fail the run.
    """
    name = recipe.tracking.register_as
    if not name:
        return None
    try:
        version = registry.register(store, find_model(store, run_id), name)
        logger.info(f"Registered version {version} of {name}")
        if recipe.tracking.promote is None:
            return RegisteredModel(version, False, {})
        champion = registry.champion(store, name)
        metrics: dict[str, float] = {}
        if champion:
            metrics = _compare(champion, recipe, splits, predicted, store=store)
            log_metrics_after_end(store, run_id, metrics)
        if not champion or metrics.get("champion/accuracy_difference_low", 0.0) > 0:
            registry.promote(store, name, version)
            logger.info(f"Version {version} of {name} is the new champion")
            return RegisteredModel(version, True, metrics)
        logger.info(f"{champion.uri} remains the champion of {name}")
        return RegisteredModel(version, False, metrics)
    except PipelineError as error:
        logger.warning(f"{error}")
        return None


def _compare(
    champion: StoredModel,
    recipe: Recipe,
    splits: Splits,
    predicted: Mapping[str, Predictions],
    *,
    store: Store,
) -> dict[str, float]:
    prefix = "test" if splits.test else "val"  # `check_recipe_with_data` has made sure of one
    split = splits.named()[prefix]
    before = _champion_predictions(champion, recipe, split, predicted[prefix], store)
    gain = paired_difference(before, predicted[prefix]).accuracy
    logger.info(
        f"Compared with {champion.uri} on the same {len(split):,} {prefix} images: accuracy "
        f"{gain.value:+.4f} ({gain.low:+.3f} to {gain.high:+.3f})"
    )
    return {
        "champion/accuracy_difference": gain.value,
        "champion/accuracy_difference_low": gain.low,
        "champion/accuracy_difference_high": gain.high,
    }


def _champion_predictions(
    champion: StoredModel, recipe: Recipe, split: Split, predicted: Predictions, store: Store
) -> Predictions:
    """Return the champion's predictions for a split.

    Raises:
        PipelineError: if it cannot be loaded, has other classes, or cannot read the images.
    """
    with files_of(store, champion) as directory:
        classifier = classifiers.load_classifier(directory / DATA)
    names = classifier.interface.class_names
    if set(names) != set(predicted.class_names):
        raise PipelineError(
            f"{champion.uri} cannot be compared: its classes are {', '.join(names)}. The new "
            f"model's are {', '.join(predicted.class_names)}."
        )
    read = image_reader(recipe, split, classifier.interface)
    rows = []
    for answer in predict(classifier, range(len(split)), read):
        if answer.probabilities is None:
            raise PipelineError(
                f"{champion.uri} cannot be compared: {split.names[answer.item]}: {answer.error}."
            )
        rows.append(answer.probabilities)
    columns = [names.index(name) for name in predicted.class_names]
    return replace(predicted, probabilities=np.array(rows)[:, columns])
