"""Registers a model, and promotes it if it is better than the champion."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.splits import Splits
from pipeline.errors import PipelineError, TrackingError
from pipeline.evaluation.predictions import Predictions
from pipeline.recipe.grammar import Recipe
from pipeline.stages.champion_comparison import compare_with_champion
from pipeline.stages.comparable_images import PREFIXES
from pipeline.tracking import registry
from pipeline.tracking.lookup import find_model
from pipeline.tracking.run_logger import log_metrics_after_end
from pipeline.tracking.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredModel:
    """A model's version in the registry.

    Attributes:
        version: its number; None if it could not be registered.
        is_champion: whether the alias `champion` points to it.
        metrics: the comparison with the previous champion, `champion/…`; empty if there was none.
        error: why it could not be registered or compared with the champion, otherwise empty.
    """

    version: str | None
    is_champion: bool
    metrics: dict[str, float]
    error: str = ""


def register_model(
    recipe: Recipe,
    run_id: str,
    splits: Splits,
    predicted: Mapping[str, Predictions],
    *,
    store: Store,
    outbox: Path | None = None,
) -> RegisteredModel | None:
    """Register a run's model, and promote it if the recipe asks for that and it is better.

    It is better if the metric by which models of its task are compared is significantly better, on
    the images that neither it nor the champion was trained or chosen on. If there is another
    champion by the time it would be promoted, it is compared with that one too.

    Args:
        recipe: `tracking.register`, `tracking.promote` and `tracking.promote_on`.
        run_id: a finished run.
        splits: the images.
        predicted: the new model's predictions for each split.
        store: contains the run.
        outbox: the directory of what it could not send, None if everything was sent.

    Returns:
        The version, with an error if something failed, which does not fail the run; None if the
        recipe names no registered model.
    """
    name = recipe.tracking.register_as
    if not name:
        return None
    version, metrics, is_champion = None, dict[str, float](), False
    try:
        if outbox:
            raise TrackingError(
                f"It is not in the store yet. After `pipeline sync {shlex.quote(str(outbox))}`, "
                "register it in the MLflow UI."
            )
        version = registry.register(store, find_model(store, run_id), name)
        logger.info(f"Registered version {version} of {name}")
        while recipe.tracking.promote and not is_champion:
            champion = registry.champion(store, name)
            if champion:
                of_split = predicted[PREFIXES[recipe.tracking.promote_on]]
                comparison = compare_with_champion(
                    champion, version, recipe, splits, of_split, store=store
                )
                metrics = comparison.metrics
                log_metrics_after_end(store, run_id, metrics)
                if not comparison.is_better:
                    logger.info(f"{champion.model.uri} remains the champion of {name}")
                    break
            is_champion = registry.promote(store, name, version, instead_of=champion)
            if is_champion:
                logger.info(f"Version {version} of {name} is the new champion")
            else:
                logger.info(f"Another version of {name} became champion meanwhile")
    except PipelineError as error:
        unregistered = f"The model was not registered as {name}"
        failure = f"Version {version} of {name} was not promoted" if version else unregistered
        logger.error(f"{failure}: {error}")
        return RegisteredModel(version, False, metrics, f"{failure}: {error}")
    return RegisteredModel(version, is_champion, metrics)
