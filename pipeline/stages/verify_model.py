"""Whether the model that was saved is the model that was judged."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipeline.data.image_decoding import BadImageError
from pipeline.errors import ModelError
from pipeline.inference.fresh_process import FreshProcess

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.data.splits import Split, Splits
    from pipeline.evaluation.predictions import Predictions
    from pipeline.inference.model_interface import ModelInterface
    from pipeline.recipe.grammar import Recipe

IMAGES = 8  # validation images that the saved model is asked about
_LARGEST = 0.01  # difference of two probabilities that rounding can explain


@contextlib.contextmanager
def model_verification(recipe: Recipe) -> Iterator[ModelVerification]:
    """Give the check of a run, and end it with the run.

    Its process is started at once: it imports Keras while this one does.
    """
    process = FreshProcess() if recipe.tracking.verify_model else None
    with tempfile.TemporaryDirectory(prefix="pipeline-pictures-") as pictures:
        try:
            yield ModelVerification(process, Path(pictures))
        finally:
            if process:
                process.end()


class ModelVerification:
    """The saved model, loaded in a fresh process, is asked about files that the run predicted.

    It works while the run goes on: `ask` does not wait, `metrics` does.

    Args:
        process: the fresh process, None where the recipe wants no check.
        pictures: a folder for images that came without files.
    """

    def __init__(self, process: FreshProcess | None, pictures: Path) -> None:
        self._process = process
        self._pictures = pictures

    def ask(self, recipe: Recipe, splits: Splits, folder: Path) -> None:
        """Have the model in a folder predict validation images from their files."""
        if self._process:
            places = _spread(len(splits.validation))
            files = _files(recipe, splits.validation, places, self._pictures)
            self._process.ask(folder, files)

    def metrics(self, judged: Predictions) -> dict[str, float]:
        """Return how far the saved model is from what was judged; say so where it is far.

        Returns:
            `reload/difference`, the largest between two probabilities, `reload/other_labels` and
            `reload/images`; nothing where the saved model could not be asked.
        """
        if not self._process:
            return {}
        expected = judged.probabilities[_spread(len(judged))]
        try:
            found = self._process.answer()
        except ModelError as error:
            logger.warning(f"the saved model could not be used in a fresh process: {error}")
            return {}
        others = int(np.sum(found.argmax(axis=1) != expected.argmax(axis=1)))
        difference = float(np.abs(found - expected).max())
        if others or difference > _LARGEST:
            logger.warning(
                f"the saved model, loaded in a fresh process, gives {others} of "
                f"{len(found)} validation images another label than the one that was judged, and "
                f"probabilities that differ by up to {difference:.2g}."
            )
        return {
            "reload/difference": difference,
            "reload/other_labels": float(others),
            "reload/images": float(len(found)),
        }


def _spread(count: int) -> list[int]:
    kept = min(count, IMAGES)
    return [number * count // kept for number in range(kept)]


def _files(recipe: Recipe, split: Split, places: list[int], pictures: Path) -> list[Path]:
    """Return the files of images; those that came as arrays are written as PNG files."""
    folder = _folder_of(recipe)
    if folder:
        return [Path(folder, split.names[place]) for place in places]
    return [
        _written(image, pictures / f"{place}.png")
        for place, image in zip(places, split.images.read(np.array(places)), strict=True)
    ]


def _folder_of(recipe: Recipe) -> Path | None:
    """Return the folder that the names of images start from, None where they came as arrays."""
    folder: Path | None = getattr(recipe.data, "path", None)
    return folder if folder and folder.is_dir() else None


def _written(image: np.ndarray, path: Path) -> Path:
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
    return path


def image_reader(
    recipe: Recipe, split: Split, interface: ModelInterface
) -> Callable[[int], np.ndarray]:
    """Return what reads an image of a split, by its place, as a model of some interface does.

    It raises BadImageError, as `predict` wants it.
    """
    folder = _folder_of(recipe)
    if folder:
        return lambda place: interface.read(folder / split.names[place])

    def from_array(place: int) -> np.ndarray:
        if split.images.shape != interface.image_shape:
            raise BadImageError(
                f"it takes images of {interface.image_shape}, and these are {split.images.shape}"
            )
        return split.images.read(np.array([place]))[0]

    return from_array
