"""The digest of what a network computes."""

from __future__ import annotations

import keras

from pipeline.engines.network_digest import network_digest


def test_the_digest_of_a_network_depends_on_the_configuration_of_its_layers() -> None:
    def network(scale: float) -> keras.Model:
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Rescaling(scale)(inputs)
        return keras.Model(inputs, keras.layers.Conv2D(2, 3, kernel_initializer="ones")(x))

    one, same, other = network(1.0), network(1.0), network(0.5)
    assert network_digest(one) == network_digest(same)
    assert network_digest(one) != network_digest(other)
