"""The phases of a transfer model: its head on kept features, then the end of its base."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.features import splitting
from pipeline.features.cached_features import CachedFeatures, HeadInputs, TransferContext
from pipeline.features.feature_maps import feature_maps
from pipeline.models import transfer
from pipeline.training.phases import Phase, fine_tuning_optimizer

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    import keras

    from pipeline.data.splits import Split
    from pipeline.features.extraction import Features
    from pipeline.training.training_config import FineTuneConfig

_GIB = 2**30


class FeatureTrainer:
    """Trains a transfer model on what its frozen part computes once.

    `phases` is what `pipeline.training.phases.train` asks for; afterwards `report` tells how the
    features came about, and `disagreements` whether the shortcut can be trusted.
    """

    def __init__(self, model: keras.Model, setting: TransferContext) -> None:
        self._model = model
        self._cut = splitting.split_before_head(model)
        self._setting = setting
        self._shortcut: CachedFeatures | None = None
        self._features: Features | None = None
        self._report: dict[str, Any] = {}

    def phases(self) -> Iterator[Phase]:
        """Yield the phase of the head and, if the recipe asks for it, the one of fine-tuning."""
        training, optimizer = self._setting.training, self._setting.optimizer
        shortcut = self._shortcut = CachedFeatures(self._cut, self._setting)
        shortcut.compute()
        self._features = shortcut.activations().train
        self._report = shortcut.report()
        yield Phase(self._cut.rest, shortcut.batches(), training.epochs, optimizer)
        if training.fine_tune:
            yield self._fine_tuning(training.fine_tune)

    def of_the_head(self) -> HeadInputs:
        """Return what any head on this base is trained on and judged by."""
        shortcut = CachedFeatures(self._cut, self._setting)
        shortcut.compute()
        return shortcut.activations()

    def report(self) -> dict[str, Any]:
        """Return the precision of the head's features, their error, and images per second."""
        return self._report

    def training_features(self, numbers: np.ndarray) -> np.ndarray:
        """Return the frozen base's features of some training images, float32 (n, units).

        They are the means of the first four views of each image.
        """
        assert self._features is not None
        views = range(min(self._features.views, 4))
        return np.mean([self._features.of(numbers, view)[0] for view in views], axis=0)

    def outputs(self, split: Split, name: str) -> np.ndarray | None:
        """Return what the whole stock model gives for the images of a split, (n, units).

        Returns:
            None where nothing was kept that tells: then the model has to be asked.
        """
        return self._shortcut.outputs(split, name) if self._shortcut else None

    def feature_maps(self, split: Split, numbers: np.ndarray) -> np.ndarray:
        """Return what the stock base gives for some images of a split, before it is averaged.

        Returns:
            float32 (n, rows, columns, channels).
        """
        limit = int(self._setting.cache_gb * _GIB)
        return feature_maps(
            self._cut,
            split,
            numbers,
            classes=len(self._setting.splits.class_names),
            limit=limit,
        )

    def disagreements(self, chosen: np.ndarray) -> int | None:
        """Return how many validation images the compiled part would give another label.

        Args:
            chosen: int (n,), the labels that the whole stock model gives.

        Returns:
            None where the model was trained on pixels at the end.
        """
        return self._shortcut.disagreements(chosen) if self._shortcut else None

    def _fine_tuning(self, keys: FineTuneConfig) -> Phase:
        """Return the phase of the end of the base: on activations where they fit, else pixels."""
        first = transfer.layer_index(self._model, keys.start)
        learning = transfer.unfreeze(self._model, first)
        logger.info(f"Fine-tuning {learning:,} more weights from '{keys.start}' on")
        optimizer = fine_tuning_optimizer(self._setting.optimizer, keys)
        cut = splitting.split_before_layer(self._model, first)
        shortcut = CachedFeatures(cut, self._setting)
        needed, allowed = shortcut.bytes_needed(), shortcut.bytes_allowed()
        if needed > allowed:
            self._shortcut = None
            logger.info(
                f"The activations at '{keys.start}' take {needed / _GIB:.1f} GiB, more than the "
                f"{allowed / _GIB:.1f} GiB that may be kept: fine-tuning sends every image through "
                "the whole base in every epoch"
            )
            return Phase(self._model, self._setting.pixels, keys.epochs, optimizer)
        self._shortcut = shortcut
        shortcut.compute()
        return Phase(cut.rest, shortcut.batches(), keys.epochs, optimizer)
