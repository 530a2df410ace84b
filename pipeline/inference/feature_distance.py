"""The distance of an image to the training images, which says that it is of none of the classes.

It is the distance to the k-th nearest training image, between L2-normalized features (Sun et al.,
Out-of-Distribution Detection with Deep Nearest Neighbors, 2022). An image is unknown if it is
further away than 95 % of held-out images of the classes. This module needs NumPy only.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import ModelError
from pipeline.evaluation.conformal import conformal_rank

REFERENCES_FILE = "reference_features.npy"

NEIGHBORS = 5
QUANTILE = 0.95  # of the held-out images' distances, the threshold
MIN_HELD_OUT = 19  # images, fewer have no such quantile
MAX_REFERENCES = 2000  # training images; 8 MiB with the 2,048 features of a ResNet50
_MAX_UNITS = 2**14
_MAX_FILE_BYTES = MAX_REFERENCES * _MAX_UNITS * 2 + 2**12  # and a header


@dataclass(frozen=True)
class DistanceConfig:
    """How distances are measured, stored in the interface of a model.

    Attributes:
        layer: the layer of the model whose output are the features.
        neighbors: k; the distance is that to the k-th nearest reference.
        threshold: images with a larger distance are unknown.
        images: the number of held-out images that set the threshold.
        sha256: hexadecimal, of the file with the features of the references.
    """

    layer: str
    neighbors: int
    threshold: float
    images: int
    sha256: str


@dataclass(frozen=True)
class FeatureReferences:
    """Features of training images.

    Attributes:
        features: float16 (references, units).
    """

    features: np.ndarray

    def distances(self, features: np.ndarray, neighbors: int) -> np.ndarray:
        """Return the distance of each image to its k-th nearest reference, float64 (n,), 0 to 2.

        Args:
            features: float (n, units).
            neighbors: k; with fewer references, the furthest one counts.
        """
        k = min(neighbors, len(self.features))
        similarities = _normalize(features) @ self._normalized.T
        kth = np.partition(similarities, -k, axis=1)[:, -k].astype(np.float64)
        return np.asarray(np.sqrt(np.maximum(2 - 2 * kth, 0)))

    def encode(self) -> bytes:
        """Return the content of the file."""
        file = io.BytesIO()
        np.save(file, self.features, allow_pickle=False)
        return file.getvalue()

    @functools.cached_property
    def _normalized(self) -> np.ndarray:
        return _normalize(self.features)


def _normalize(features: np.ndarray) -> np.ndarray:
    """Return features (n, units) scaled to length 1, float32; those of length 0 stay 0."""
    rows = np.asarray(features, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny))


def make_references(features: np.ndarray) -> FeatureReferences:
    """Return references with features (references, units), which are rounded to float16."""
    return FeatureReferences(_normalize(features).astype(np.float16))


def distance_threshold(distances: np.ndarray) -> float:
    """Return what 95 % of new images of the classes stay below.

    Args:
        distances: (n,), of `MIN_HELD_OUT` held-out images of the classes or more.
    """
    return float(np.sort(distances)[conformal_rank(len(distances), QUANTILE) - 1])


def load_references(directory: Path, config: DistanceConfig) -> FeatureReferences:
    """Read the features of the references of a model.

    Raises:
        ModelError: if the file is missing, or is not the one that was written with the model.
    """
    path = directory / REFERENCES_FILE
    try:
        size = path.stat().st_size
        if size > _MAX_FILE_BYTES:
            raise ValueError(f"it has {size:,} bytes, more than any model needs")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != config.sha256:
            raise ValueError("it is not the file that was written with the model")
        features = _parse(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{path} cannot be used: {reason}. Expected the features of training images that "
            "`pipeline run` logged with the model."
        ) from None
    return FeatureReferences(features)


def _parse(data: bytes) -> np.ndarray:
    with contextlib.suppress(ValueError, EOFError):  # of NumPy, which then suggests to use pickle
        features = np.load(io.BytesIO(data), allow_pickle=False)
        is_table = isinstance(features, np.ndarray) and features.ndim == 2 and features.size > 0
        if is_table and features.dtype == np.float16 and np.isfinite(features).all():
            return features
    raise ValueError("expected a table of finite float16 numbers")
