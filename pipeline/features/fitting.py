"""The phases of a transfer model: its head on kept features, then the end of its base."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tensorflow as tf

from pipeline.data.batches import shuffled, steps_per_epoch, targets_for
from pipeline.features import cutting, kept
from pipeline.features.compiling import Precision
from pipeline.features.cutting import Cut
from pipeline.features.extraction import Extractor, Features, Views, batches_of
from pipeline.features.precision import Choice, choose
from pipeline.models import transfer
from pipeline.training.phases import Batches, Phase, fine_tuning

if TYPE_CHECKING:
    import keras

    from pipeline.data.splits import Split, Splits
    from pipeline.section import Output
    from pipeline.training.devices import Devices
    from pipeline.training.keys import Training
    from pipeline.training.optimizers import OptimizerKeys

SAMPLE = 16  # images that the compiled prefix is compared on with the stock one
_GIB = 2**30


@dataclass(frozen=True)
class Setting:
    """What the phases of a transfer model are made from.

    Attributes:
        splits: the images.
        pixels: their batches as pixels, for what cannot be kept.
        output: what the model ends in.
        batch_size: images in a training batch.
        augmentation: the entries of the recipe, which determine `layers`.
        layers: Keras preprocessing layers.
        seed: of the order of the images and of their views.
        training: the section of the recipe.
        optimizer: the section of the recipe.
        devices: what is trained on.
        precision: what the frozen part computes in if its features stay the same.
        cache_gb: what kept features may take on the disk, in GiB.
    """

    splits: Splits
    pixels: Batches
    output: Output
    batch_size: int | Literal["all"]
    augmentation: Sequence[Any]
    layers: Sequence[Any]
    seed: int
    training: Training
    optimizer: OptimizerKeys
    devices: Devices
    precision: Precision
    cache_gb: float


class TransferFitting:
    """Trains a transfer model on what its frozen part computes once.

    `phases` is what `pipeline.training.phases.train` asks for; afterwards `report` tells how the
    features came about, and `disagreements` whether the shortcut can be trusted.
    """

    def __init__(self, model: keras.Model, setting: Setting, say: Callable[[str], None]) -> None:
        self._model = model
        self._setting = setting
        self._say = say
        self._choice: Choice | None = None
        self._validation: Features | None = None
        self._head: keras.Model | None = None
        self._speed = 0.0

    def phases(self) -> Iterator[Phase]:
        """Yield the phase of the head and, if the recipe asks for it, the one of fine-tuning."""
        training, optimizer = self._setting.training, self._setting.optimizer
        cut = cutting.before_the_head(self._model)
        extractor = self._extractor(cut)
        self._choice = extractor.choice
        batches = self._batches(extractor)
        self._head = cut.rest
        yield Phase(cut.rest, batches, training.epochs, optimizer)
        if training.fine_tune:
            fine_tune = training.fine_tune
            first = transfer.place_of(self._model, fine_tune.start)
            learning = transfer.unfreeze(self._model, first)
            self._say(f"Fine-tuning {learning:,} more weights from '{fine_tune.start}' on")
            model, batches = self._for_fine_tuning(first)
            self._head = None  # the features at the head are no longer what it is trained on
            slow = fine_tuning(optimizer, fine_tune)
            yield Phase(model, batches, fine_tune.epochs, slow)

    def report(self) -> dict[str, Any]:
        """Return the precision of the features, their error, and images per second."""
        assert self._choice is not None
        return {
            "precision": self._choice.precision,
            "relative_error": self._choice.error,
            "images_per_second": round(self._speed, 1),
        }

    def disagreements(self, chosen: np.ndarray) -> int | None:
        """Return how many validation images the shortcut gives another label than the model does.

        Args:
            chosen: int (n,), the labels that the whole stock model gives.

        Returns:
            None where the model was fine-tuned, so that its head has left the first features.
        """
        if self._head is None or self._validation is None:
            return None
        (activations,) = self._validation.activations
        predicted = np.asarray(self._head.predict(activations[:, 0].astype("float32"), verbose=0))
        if predicted.shape[1] == 1:
            predicted = np.hstack([1 - predicted, predicted])
        return int(np.sum(predicted.argmax(axis=1) != chosen))

    def _extractor(self, cut: Cut) -> Extractor:
        setting = self._setting
        images = setting.splits.train.images
        spread = np.linspace(0, len(setting.splits.train) - 1, SAMPLE).astype(int)
        sample = np.asarray(cut.prepare(images.read(np.unique(spread)), training=False))
        choice = choose(cut.prefix, sample, pool=cut.pool, wanted=setting.precision, say=self._say)
        classes = len(setting.splits.class_names)
        limit = int(setting.cache_gb * _GIB)
        return Extractor(cut, choice, classes=classes, limit=limit)

    def _views(self) -> Views:
        setting = self._setting
        settings = json.loads(json.dumps([e.model_dump(mode="json") for e in setting.augmentation]))
        training = setting.training
        epochs = training.epochs + (training.fine_tune.epochs if training.fine_tune else 0)
        count = min(training.views, epochs) if setting.layers else 1
        return Views(count, setting.layers, settings, setting.seed)

    def _batches(self, extractor: Extractor) -> Batches:
        """Return the batches of activations of the training and the validation images."""
        setting, finish = self._setting, targets_for(self._setting.output)
        train = self._features(extractor, setting.splits.train, self._views(), "train")
        plain = Views(1, (), None, 0)
        validation = self._features(extractor, setting.splits.validation, plain, "val")
        if self._validation is None:
            self._validation = validation

        def training(first_epoch: int, epochs: int) -> Any:
            indices = shuffled(
                len(train),
                batch_size=setting.batch_size,
                seed=setting.seed,
                first_epoch=first_epoch,
                epochs=epochs,
            )
            return batches_of(train, indices, finish)

        first_view = tf.constant(0, tf.int64)
        in_order = tf.data.Dataset.range(len(validation)).batch(256)
        in_order = in_order.map(lambda numbers: (first_view, numbers))
        return Batches(
            training=training,
            validation=batches_of(validation, in_order, finish),
            steps_per_epoch=steps_per_epoch(setting.splits.train, setting.batch_size),
        )

    def _features(self, extractor: Extractor, split: Split, views: Views, name: str) -> Features:
        choice, base = extractor.choice, transfer.base_of(self._model).name
        features = extractor.features(split, views, name=f"{base} {name}")
        what = f"{len(split):,} {name} images in {views.count} view{'s' * (views.count > 1)}"
        if features.images_per_second:
            self._speed = max(self._speed, features.images_per_second)
            self._say(
                f"Sent {what} through {base} in {choice.precision}, "
                f"{features.images_per_second:.0f} images a second"
            )
        else:
            self._say(f"Features of {what} were kept from an earlier run")
        return features

    def _for_fine_tuning(self, first: int) -> tuple[keras.Model, Batches]:
        """Return what learns and its batches: activations where they fit, else pixels."""
        setting = self._setting
        cut = cutting.before_layer(self._model, first)
        extractor = self._extractor(cut)
        images, views = len(setting.splits.train), self._views().count
        needed = extractor.bytes_for(images, views) + extractor.bytes_for(
            len(setting.splits.validation), 1
        )
        limit = min(kept.free_bytes() * 0.9, setting.cache_gb * _GIB)
        if needed <= limit or extractor.has(setting.splits.train, self._views()):
            return cut.rest, self._batches(extractor)
        self._say(
            f"The activations at '{setting.training.fine_tune.start}' take "  # type: ignore[union-attr]
            f"{needed / _GIB:.1f} GiB, more than the {limit / _GIB:.1f} GiB that may be kept: "
            "fine-tuning sends every image through the whole base in every epoch"
        )
        return self._model, setting.pixels
