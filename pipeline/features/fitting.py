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
ASKED_AGAIN = 8  # images that the whole model is asked about, to check what was kept of its base
_GIB = 2**30
_PLAIN = Views(1, (), None, 0)


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
        self._head: Cut | None = None
        self._validation: Features | None = None
        self._precision, self._relative_error, self._speed = "", 0.0, 0.0

    def phases(self) -> Iterator[Phase]:
        """Yield the phase of the head and, if the recipe asks for it, the one of fine-tuning."""
        training, optimizer = self._setting.training, self._setting.optimizer
        cut = cutting.before_the_head(self._model)
        train, validation = self._features_of_both(self._extractor(cut))
        self._precision, self._relative_error = train.precision, train.relative_error
        self._speed = max(train.images_per_second, validation.images_per_second)
        self._head, self._validation = cut, validation
        batches = self._batches(train, validation)
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
        return {
            "precision": self._precision,
            "relative_error": self._relative_error,
            "images_per_second": round(self._speed, 1),
        }

    def outputs(self, split: Split, name: str) -> np.ndarray | None:
        """Return what the whole stock model gives for the images of a split, (n, units).

        What its frozen base gives for them, in float32 and not compiled, is kept as well: it is a
        constant of the images, whatever the head. On the first images of the split the model as a
        whole is asked, so that a mistake in keeping them cannot go unseen.

        Args:
            split: the images.
            name: what the split is called.

        Returns:
            None where the model was fine-tuned, so that its base is another one, or where the first
            images speak against what was kept: then the model has to be asked for all of them.
        """
        if self._head is None:
            return None
        features = self._exact(self._head).features(split, _PLAIN, name=f"{self._base} {name}")
        outputs = _outputs(self._head, features)
        first = split.images.read(np.arange(min(ASKED_AGAIN, len(split))))
        whole = np.asarray(self._model(first, training=False))
        return outputs if np.allclose(outputs[: len(first)], whole, atol=1e-3) else None

    def disagreements(self, chosen: np.ndarray) -> int | None:
        """Return how many validation images the shortcut gives another label than the model does.

        Args:
            chosen: int (n,), the labels that the whole stock model gives.

        Returns:
            None where the model was fine-tuned, so that its head has left the first features.
        """
        if self._head is None or self._validation is None:
            return None
        outputs = _outputs(self._head, self._validation)
        labels = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
        return int(np.sum(labels != chosen))

    @property
    def _base(self) -> str:
        return transfer.base_of(self._model).name

    def _extractor(self, cut: Cut) -> Extractor:
        setting = self._setting
        train = setting.splits.train

        def chosen() -> Choice:
            spread = np.unique(np.linspace(0, len(train) - 1, SAMPLE).astype(int))
            sample = np.asarray(cut.prepare(train.images.read(spread), training=False))
            return choose(
                cut.prefix, sample, pool=cut.pool, wanted=setting.precision, say=self._say
            )

        return self._new_extractor(cut, chosen, wanted=setting.precision, sample=train.digest)

    def _exact(self, cut: Cut) -> Extractor:
        """Return what computes activations with the stock network in float32."""
        stock = Choice(cut.prefix, "stock", 0.0)
        return self._new_extractor(cut, lambda: stock, wanted="stock", sample=None)

    def _new_extractor(
        self, cut: Cut, choose: Callable[[], Choice], *, wanted: str, sample: str | None
    ) -> Extractor:
        return Extractor(
            cut,
            choose,
            wanted=wanted,
            sample=sample,
            classes=len(self._setting.splits.class_names),
            limit=int(self._setting.cache_gb * _GIB),
            say=self._say,
        )

    def _views(self) -> Views:
        setting = self._setting
        settings = json.loads(json.dumps([e.model_dump(mode="json") for e in setting.augmentation]))
        training = setting.training
        epochs = training.epochs + (training.fine_tune.epochs if training.fine_tune else 0)
        count = min(training.views, epochs) if setting.layers else 1
        return Views(count, setting.layers, settings, setting.seed)

    def _features_of_both(self, extractor: Extractor) -> tuple[Features, Features]:
        """Return the activations of the training and of the validation images."""
        splits = self._setting.splits
        train = self._features(extractor, splits.train, self._views(), "train")
        return train, self._features(extractor, splits.validation, _PLAIN, "val")

    def _features(self, extractor: Extractor, split: Split, views: Views, name: str) -> Features:
        features = extractor.features(split, views, name=f"{self._base} {name}")
        what = f"{len(split):,} {name} images in {views.count} view{'s' * (views.count > 1)}"
        if features.images_per_second:
            distinct = len(features.activations[0])
            what += (
                f", {distinct:,} of them distinct," if distinct < len(split) * views.count else ""
            )
            self._say(
                f"Sent {what} through {self._base} in {features.precision}, "
                f"{features.images_per_second:.0f} images a second"
            )
        else:
            self._say(f"Features of {what} were kept from an earlier run")
        return features

    def _batches(self, train: Features, validation: Features) -> Batches:
        setting, finish = self._setting, targets_for(self._setting.output)

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

    def _for_fine_tuning(self, first: int) -> tuple[keras.Model, Batches]:
        """Return what learns and its batches: activations where they fit, else pixels."""
        setting = self._setting
        cut = cutting.before_layer(self._model, first)
        extractor = self._extractor(cut)
        views = self._views()
        needed = 0
        if not extractor.has(setting.splits.train, views):
            needed += extractor.bytes_for(len(setting.splits.train), views.count)
            needed += extractor.bytes_for(len(setting.splits.validation), 1)
        limit = min(kept.free_bytes() * 0.9, setting.cache_gb * _GIB)
        if needed <= limit:
            return cut.rest, self._batches(*self._features_of_both(extractor))
        self._say(
            f"The activations at '{setting.training.fine_tune.start}' take "  # type: ignore[union-attr]
            f"{needed / _GIB:.1f} GiB, more than the {limit / _GIB:.1f} GiB that may be kept: "
            "fine-tuning sends every image through the whole base in every epoch"
        )
        return self._model, setting.pixels


def _outputs(cut: Cut, features: Features) -> np.ndarray:
    """Return what the head makes of the images' first views, (n, units)."""
    parts = []
    for start in range(0, len(features), 1024):
        (activations,) = features.of(np.arange(start, min(start + 1024, len(features))), 0)
        parts.append(np.asarray(cut.rest(activations, training=False)))
    return np.concatenate(parts)
