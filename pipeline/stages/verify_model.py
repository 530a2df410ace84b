"""Verifies that the saved model predicts as the trained model does."""

from __future__ import annotations

import contextlib
import functools
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.splits import Split, Splits
from pipeline.errors import BadInputError, ModelError
from pipeline.evaluation.predictions import Predictions
from pipeline.even_spacing import evenly_spaced
from pipeline.inference.fresh_process import FreshProcess
from pipeline.inference.model_interface import ModelInterface
from pipeline.models import transfer
from pipeline.recipe.grammar import Recipe
from pipeline.stages.trainer import Trainer
from pipeline.tasks.task import Task

logger = logging.getLogger(__name__)


IMAGES = 8  # images that the saved model predicts
_KINDS = {"val": "validation", "test": "test", "train": "training"}
_GRAPH = "graph"
_MAX_DIFFERENCE = 0.01  # of two outputs, which rounding can explain


@contextlib.contextmanager
def model_verification(
    recipe: Recipe, process: Future[FreshProcess] | None = None
) -> Iterator[ModelVerification]:
    """Start the verification of a run, and end it with the run.

    Args:
        recipe: says whether the model is verified.
        process: that is being started already, if any. Otherwise it starts now, and imports Keras
            while this process reads the images.
    """
    started: FreshProcess | None = None
    if recipe.tracking.verify_model:
        started = process.result() if process else FreshProcess()
    with tempfile.TemporaryDirectory(prefix="pipeline-images-") as scratch:
        try:
            yield ModelVerification(started, Path(scratch))
        finally:
            if started:
                started.close()


class ModelVerification:
    """Loads the saved model in a fresh process, which writes its graph and predicts images.

    The process works while the run continues: `ask` does not wait, `graph` and `metrics` do.

    Args:
        process: the fresh process, None if the recipe turns the verification off.
        scratch: a directory for images that do not come from files, and for the model's graph.
    """

    def __init__(self, process: FreshProcess | None, scratch: Path) -> None:
        self._process = process
        self._scratch = scratch
        self._failure = ""

    def ask(self, recipe: Recipe, splits: Splits, directory: Path, network: str | None) -> None:
        """Let the model in a directory predict images of a split from their files.

        Args:
            recipe: of the model.
            splits: the images.
            directory: of the model.
            network: as `Trainer.frozen_digest` returns it.
        """
        if self._process:
            _, split = splits.verification
            inputs = _inputs(
                recipe, split, evenly_spaced(len(split), at_most=IMAGES), self._scratch
            )
            (self._scratch / _GRAPH).mkdir()
            layer = transfer.FEATURES if recipe.model.has_frozen_base else None
            self._process.request(
                directory, inputs, self._scratch / _GRAPH, feature_layer=layer, network=network
            )

    @functools.cached_property
    def graph(self) -> Path | None:
        """The directory of the model's graph, which is waited for; None if it has none."""
        if not self._process:
            return None
        try:
            error = self._process.graph_error()
        except ModelError as failure:
            self._failure = str(failure)
            return None
        if error:
            logger.info(f"The model has no graph for OpenVINO, so Keras computes it: {error}")
            return None
        return self._scratch / _GRAPH

    def metrics(
        self, task: Task, splits: Splits, predictions: Mapping[str, Predictions], trainer: Trainer
    ) -> dict[str, float]:
        """Compare the saved model's predictions with the trained model's; warn if they differ.

        Args:
            task: what is predicted.
            splits: the images.
            predictions: the trained model's, by split.
            trainer: has the trained model, to predict the images of a split that is not evaluated.

        Returns:
            `verification/max_difference` of two outputs, `verification/label_changes` and
            `verification/count`; empty if the saved model could not be used.
        """
        if not self._process:
            return {}
        name, split = splits.verification
        indices = np.array(evenly_spaced(len(split), at_most=IMAGES))
        if name in predictions:
            before = predictions[name].outputs[indices]
            thresholds = predictions[name].thresholds
        else:
            before = trainer.predict(split.subset(indices), name)
            thresholds = task.choose_thresholds(len(splits.class_names), None)
        after = self._outputs()
        if after is None:
            logger.warning(f"The saved model cannot be used in a fresh process: {self._failure}")
            return {}
        difference = task.difference(after, before, thresholds)
        if difference.changed or difference.largest > _MAX_DIFFERENCE:
            logger.warning(
                "The saved model, loaded in a fresh process, has another answer than the "
                f"trained model for {difference.changed} of {len(after)} {_KINDS[name]} "
                f"{splits.unit}. Their outputs differ by up to {difference.largest:.2g}."
            )
        return {
            "verification/max_difference": difference.largest,
            "verification/label_changes": float(difference.changed),
            "verification/count": float(len(after)),
        }

    def _outputs(self) -> np.ndarray | None:
        """Return what the saved model predicts; None, and why, if it cannot be used."""
        assert self._process
        if self.graph is None and self._failure:
            return None
        try:
            return np.array(self._process.outputs(), np.float64)
        except ModelError as failure:
            self._failure = str(failure)
            return None


def _inputs(
    recipe: Recipe, split: Split, indices: list[int], scratch: Path
) -> list[Path] | np.ndarray:
    """Return the files of images, or numbers, float32 (n, numbers).

    Remote files are copied. Images that come as arrays are written as PNG files.
    """
    if not isinstance(recipe.data, ImageSourceConfig):
        return split.images.read(np.array(indices))
    if root := recipe.data.image_root:
        return [root.local_copy(split.names[index], scratch) for index in indices]
    files = [scratch / f"{index}.png" for index in indices]
    for image, path in zip(split.images.read(np.array(indices)), files, strict=True):
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
    return files


def image_reader(
    recipe: Recipe, split: Split, interface: ModelInterface
) -> Callable[[int], np.ndarray]:
    """Return a function that reads an image of a split, by its index, for a model's interface.

    The function raises BadInputError, as `predict` expects.
    """
    if root := recipe.data.image_root:
        return lambda index: interface.decode(root.read(split.names[index]))

    def from_array(index: int) -> np.ndarray:
        if split.images.shape != interface.input_shape:
            raise BadInputError(
                f"expected shape {interface.input_shape}. Received {split.images.shape}"
            )
        return split.images.read(np.array([index]))[0]

    return from_array
