"""Regression: a number for each image."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.models.layers import OutputLayer
from pipeline.tasks import regression

LABELS = np.array([3.0, 5.0, 7.0, 9.0], np.float32)


def test_the_output_has_the_mean_and_the_spread_of_the_labels() -> None:
    output = regression.output_layer(0, "huber", LABELS, (8,))
    assert (output.units, output.activation, output.offset) == (1, "linear", 6.0)
    assert output.scale == pytest.approx(5**0.5)
    constant = regression.output_layer(0, "huber", np.full(4, 3.0, np.float32), (8,))
    assert (constant.scale, constant.offset) == (1.0, 3.0)


def test_numbers_are_their_own_targets_mixed_or_not() -> None:
    encoding = regression.label_encoding(0, OutputLayer(1, "linear"))
    dense = encoding.dense(tf.constant(LABELS))
    np.testing.assert_array_equal(encoding.targets(None, dense), LABELS[:, np.newaxis])
    np.testing.assert_array_equal(encoding.dense(dense), dense)


def test_strata_are_tenths_of_the_labels() -> None:
    labels = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    strata = regression.strata(labels)
    assert np.bincount(strata).tolist() == [100] * 10
    assert (np.diff(strata[np.argsort(labels)]) >= 0).all()
    assert len(regression.stratum_names(labels, ())) == 10
    few = np.array([1.0, 1.0, 2.0], np.float32)
    assert regression.strata(few).tolist() == [0, 0, 1]
    assert regression.stratum_names(few, ()) == ["labels up to 1", "larger labels"]


def test_chance_is_the_mean_of_the_labels() -> None:
    targets = LABELS[:, np.newaxis]
    assert regression.chance_outputs(targets, OutputLayer(1, "linear")).tolist() == [[6.0]] * 4


def test_r2_needs_labels_that_differ() -> None:
    assert regression.metric_problem("r2", LABELS, ()) == ""
    problem = regression.metric_problem("r2", np.full(3, 2.5), ())
    assert problem == "is undefined: all validation labels are 2.5."
