"""Images with any number of labels: strata, decisions, and what stands for a label in words."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.data.split_assignment import assign_splits
from pipeline.models.layers import OutputLayer
from pipeline.tasks import multi_label

NAMES = ("sea", "sky", "sun")
LABELS = np.array([[1, 0, 0]] * 60 + [[1, 1, 0]] * 30 + [[0, 0, 0]] * 20, bool)
RARE = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1]], bool)  # the only ones with the last label


def test_an_image_is_in_the_stratum_of_its_labels_or_of_its_rarest_one() -> None:
    labels = np.concatenate([LABELS, RARE])
    strata = multi_label.strata(labels)
    names = multi_label.stratum_names(labels, NAMES)
    assert [names[number] for number in strata[[0, 60, 90]]] == ["sea", "sea+sky", ""]
    assert {names[number] for number in strata[-3:]} == {"sun+…"}


def test_splits_have_the_same_share_of_each_label() -> None:
    labels = np.concatenate([LABELS, RARE])
    splits = assign_splits(
        [str(index) for index in range(len(labels))],
        multi_label.strata(labels),
        np.full(len(labels), -1, np.int8),
        None,
        fractions={"val": 0.2, "test": 0.2},
        seed=0,
        stratum_names=multi_label.stratum_names(labels, NAMES),
    )
    counts = np.array([labels[splits == split].sum(axis=0) for split in range(3)])
    assert np.abs(counts[1:, :2] - 0.2 * labels[:, :2].sum(axis=0)).max() <= 1
    assert counts[:, 2].tolist() == [1, 1, 1]


def test_targets_are_the_labels_mixed_or_not() -> None:
    output = multi_label.output_layer(3, "binary_cross_entropy", RARE, (8,))
    assert output == OutputLayer(3, "sigmoid")
    encoding = multi_label.label_encoding(3, output)
    dense = encoding.dense(tf.constant(RARE))
    np.testing.assert_array_equal(encoding.targets(None, dense), RARE.astype(np.float32))
    mixed = tf.constant([[0.25, 1.0, 0.0]])
    np.testing.assert_array_equal(encoding.dense(mixed), mixed)
    assert multi_label.describe_dense(mixed.numpy()[0], NAMES) == "25% sea, sky"


def test_a_label_in_words() -> None:
    assert [multi_label.describe_label(label, NAMES) for label in RARE] == [
        "sea, sun",
        "sky, sun",
        "sea, sky, sun",
    ]
    none = np.zeros(3)
    assert multi_label.describe_label(none, NAMES) == "none"
    assert multi_label.describe_dense(none, NAMES) == "none"


def test_an_image_is_of_the_classes_whose_threshold_it_reaches() -> None:
    thresholds = np.array([0.9, 0.2, 0.3])
    answer = multi_label.answer(np.array([0.8, 0.2, 0.7]), thresholds, NAMES)
    assert answer["classes"] == ["sun", "sky"]
    assert multi_label.answer(np.zeros(3), thresholds, NAMES)["classes"] == []


def test_without_validation_images_thresholds_are_one_half() -> None:
    assert multi_label.choose_thresholds(3, None).tolist() == [0.5] * 3


def test_a_metric_is_undefined_for_a_label_that_no_image_has() -> None:
    assert multi_label.metric_problem("recall/sun", LABELS, NAMES) == (
        "is undefined: the validation split has none of sun."
    )
    assert multi_label.metric_problem("recall/sun", RARE, NAMES) == ""
    assert multi_label.metric_problem("f1_macro", LABELS, NAMES) == ""
