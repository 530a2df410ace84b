"""What a frozen base sees in a few images, before it is averaged: for a look at where it looked."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.splits import ArrayImages, Split
from pipeline.features import cutting
from pipeline.features.extraction import AS_THEY_ARE, exact
from pipeline.models import transfer

if TYPE_CHECKING:
    import keras

_PLACE = -2  # before what `cutting.before_the_head` cuts at


def feature_maps(
    model: keras.Model,
    split: Split,
    numbers: np.ndarray,
    *,
    limit: int,
    say: Callable[[str], None],
) -> np.ndarray:
    """Return the last feature map of the base for some images, computed or kept from before.

    Args:
        model: what `transfer.build` made; its base ends in a feature map.
        split: the images.
        numbers: int (n,), which of them.
        limit: bytes that everything kept may take together.
        say: tells a person what is going on.

    Returns:
        float32 (n, rows, columns, channels).
    """
    cut = dataclasses.replace(cutting.before_the_head(model), pool=False, place=_PLACE)
    extractor = exact(cut, classes=model.output_shape[-1], limit=limit, say=say)
    some = Split(
        ArrayImages(split.images.read(numbers)),
        labels=np.zeros(len(numbers), np.int64),
        names=[split.names[number] for number in numbers],
        image_digests=[split.image_digests[number] for number in numbers],
        digest=hashlib.sha256(f"{split.digest} {numbers.tolist()}".encode()).hexdigest(),
    )
    name = f"{transfer.base_of(model).name} maps"
    features = extractor.features(some, AS_THEY_ARE, name=name)
    return features.of(np.arange(len(some)), 0)[0]
