"""Which images of a split two models can be compared on."""

from __future__ import annotations

import hashlib

import numpy as np

from pipeline.data.image_digests import ImageDigests, image_digests
from pipeline.data.splits import Split, Splits

# The prefix in `Splits.named` of what `tracking.promote_on` names.
PREFIXES = {"test": "test", "validation": "val"}


def comparable_images(splits: Splits, kind: str, champion: ImageDigests) -> np.ndarray:
    """Return the indices of the images of a split that two models can be compared on, ascending.

    Neither model was trained on them. Test images chose the epoch of neither model, validation
    images that of both: an image that chose one of them would favour it. A model knows an image if
    it knows a copy of it. One of the images of a picture is compared.

    Args:
        splits: the new model's images.
        kind: `test` or `validation`.
        champion: the digests of the champion's training and validation images.
    """
    name = PREFIXES[kind]
    split = splits.named()[name]
    own_trained, own_chosen = image_digests(splits).find(split.image_digests)
    trained, chosen = champion.find(split.image_digests)
    is_copy = np.ones(len(split), bool)
    is_copy[np.unique(split.image_digests, axis=0, return_index=True)[1]] = False
    for copies in splits.duplicates or ():
        inside = [copy.index for copy in copies if copy.split == name]
        digests = np.array([list(bytes.fromhex(copy.digest)) for copy in copies], np.uint8)
        known_trained, known_chosen = champion.find(digests)
        trained[inside] |= known_trained.any()
        chosen[inside] |= known_chosen.any()
        is_copy[inside[1:]] = True
    is_fair = own_chosen & chosen if kind == "validation" else ~(own_chosen | chosen)
    return np.flatnonzero(is_fair & ~own_trained & ~trained & ~is_copy)


def images_digest(split: Split) -> str:
    """Return a digest of the images of a split, whatever their order and size."""
    ordered = sorted(digest.tobytes() for digest in split.image_digests)
    return hashlib.sha256(b"".join(ordered)).hexdigest()[:32]
