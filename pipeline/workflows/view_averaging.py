"""Predict with the mean over views of each image, by the augmentation of the model's own recipe."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from pydantic import ValidationError

from pipeline.config import unwrap_single_key
from pipeline.data.augmentation import MIXING, build_augmentation
from pipeline.data.image_source import augmentation_of
from pipeline.errors import UsageError
from pipeline.inference.averaged_views import AveragedViews
from pipeline.inference.image_classifier import ImageClassifier
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import read_text
from pipeline.recipe.yaml_reader import parse
from pipeline.tracking.lookup import recipe_of
from pipeline.tracking.store import Store
from pipeline.tracking.stored_model import StoredModel
from pipeline.workflows.averaged_outputs import describe_views

logger = logging.getLogger(__name__)


def view_averaging(
    store: Store, model: StoredModel, views: int
) -> Callable[[ImageClassifier], ImageClassifier]:
    """Return a function that makes a classifier of a model average over views of each image.

    Args:
        store: the tracking store.
        model: whose recipe has the augmentation and the seed.
        views: of each image; with 1, a classifier stays as it is.

    Raises:
        UsageError: if the recipe is not available, or has no augmentation that changes images one
            by one.
    """
    if views == 1:
        return lambda classifier: classifier
    recipe = _recipe(store, model)
    if recipe.task.DRAWS_IMAGES:
        raise UsageError(
            "views are for outputs that have a mean, and those of the run "
            f"{model.run_name} ({model.run_id}) are images: its task is {recipe.data.task}. "
            "Predict without views."
        )
    augmentation = augmentation_of(recipe.data)
    entries = [entry for entry in augmentation if unwrap_single_key(entry)[0] not in MIXING]
    if not entries:
        raise UsageError(
            f"views need data.augmentation, which random views are made by, and the recipe of "
            f"the run {model.run_name} ({model.run_id}) has none"
            f"{' that changes images one by one' if augmentation else ''}. Predict "
            "without views, or run the recipe with augmentation."
        )

    def average(classifier: ImageClassifier) -> ImageClassifier:
        size = classifier.interface.image_decoding.size
        layers = build_augmentation(entries, image_size=size)
        return AveragedViews(classifier, layers, views, recipe.seed)

    names = ", ".join(unwrap_single_key(entry)[0] for entry in entries)
    logger.info(f"Each output is the {describe_views(views)}: {names}")
    return average


def _recipe(store: Store, model: StoredModel) -> Recipe:
    with recipe_of(store, model) as path:
        text = read_text(path)
        document = parse(text, name=path.name, directory=path.parent, environment=os.environ)
    try:
        return Recipe.model_validate(document.tree)
    except ValidationError:
        raise UsageError(
            f"The recipe of the run {model.run_name} ({model.run_id}) is of another version of "
            "pipeline and cannot be read. Predict without views."
        ) from None
