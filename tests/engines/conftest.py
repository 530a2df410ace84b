"""Networks whose batch normalization matters."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def with_statistics() -> Callable[[keras.Model], keras.Model]:
    """Gives batch normalization what training would: means and variances that matter."""
    return _with_statistics


def _with_statistics(network: keras.Model) -> keras.Model:
    generator = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(generator.normal(0, 0.1, shape))
            layer.moving_variance.assign(generator.uniform(0.5, 1.5, shape))
            if layer.center:
                layer.beta.assign(generator.normal(0, 0.1, shape))
            if layer.scale:
                layer.gamma.assign(generator.uniform(0.8, 1.2, shape))
    return network
