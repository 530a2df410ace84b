"""What a frozen base sees in a few images, before it is averaged: for a look at where it looked."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from pipeline.data.splits import ArrayImages, Split
from pipeline.features.extraction import UNAUGMENTED, exact_extractor
from pipeline.features.splitting import ModelSplit

_PLACE = -2  # before what `cutting.before_the_head` cuts at


def feature_maps(
    cut: ModelSplit,
    split: Split,
    numbers: np.ndarray,
    *,
    classes: int,
    limit: int,
) -> np.ndarray:
    """Return the last feature map of the base for some images, computed or kept from before.

    Args:
        cut: what `cutting.before_the_head` returned for a model whose base ends in a feature map.
        split: the images.
        numbers: int (n,), which of them.
        classes: the number of classes.
        limit: bytes that everything kept may take together.

    Returns:
        float32 (n, rows, columns, channels).
    """
    # A copy also has a digest of its own, of the weights that fine-tuning may have changed.
    unpooled = dataclasses.replace(cut, pool=False, place=_PLACE)
    extractor = exact_extractor(unpooled, classes=classes, limit=limit)
    some = Split(
        ArrayImages(split.images.read(numbers)),
        labels=np.zeros(len(numbers), np.int64),
        names=[split.names[number] for number in numbers],
        image_digests=[split.image_digests[number] for number in numbers],
        digest=hashlib.sha256(f"{split.digest} {numbers.tolist()}".encode()).hexdigest(),
    )
    features = extractor.features(some, UNAUGMENTED, name=f"{cut.prefix.name} maps")
    return features.of(np.arange(len(some)), 0)[0]
