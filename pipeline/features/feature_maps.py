"""Feature maps of a frozen base, for heat maps of a few images."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from pipeline.data.splits import ArrayImages, Split
from pipeline.features.extraction import UNAUGMENTED, original_extractor
from pipeline.features.splitting import ModelSplit

_INDEX = -2  # tells feature maps from their averages, whose index is -1, in cache keys


def feature_maps(
    model_split: ModelSplit,
    split: Split,
    indices: np.ndarray,
    *,
    classes: int,
    limit: int,
) -> np.ndarray:
    """Return the last feature maps of the base for some images, computed or from the cache.

    Args:
        model_split: what `split_before_head` returned for a base that ends in a feature map.
        split: the images.
        indices: int (n,), which of them.
        classes: the number of classes.
        limit: bytes that the whole cache may take.

    Returns:
        float32 (n, rows, columns, channels).
    """
    # A copy also has a digest of its own, of the weights that fine-tuning may have changed.
    unpooled = dataclasses.replace(model_split, pool=False, index=_INDEX)
    extractor = original_extractor(unpooled, classes=classes, limit=limit)
    some = Split(
        ArrayImages(split.images.read(indices)),
        labels=np.zeros(len(indices), np.int64),
        names=[split.names[index] for index in indices],
        image_digests=[split.image_digests[index] for index in indices],
        digest=hashlib.sha256(f"{split.digest} {indices.tolist()}".encode()).hexdigest(),
    )
    name = f"{model_split.frozen.network.name} feature maps"
    features = extractor.extract(some, UNAUGMENTED, name=name)
    return features.batch(np.arange(len(some)), 0)[0]
