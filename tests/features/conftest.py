"""What tests of frozen networks share."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def has_bfloat16() -> bool:
    """Whether TensorFlow convolves in bfloat16; oneDNN limited to AVX2 may refuse to."""
    images = tf.constant(np.ones((1, 4, 4, 3)), tf.bfloat16)
    try:
        tf.nn.conv2d(images, tf.ones((3, 3, 3, 2), tf.bfloat16), strides=1, padding="SAME")
    except tf.errors.AbortedError:
        return False
    return True


@pytest.fixture
def bfloat16(has_bfloat16: bool) -> None:
    if not has_bfloat16:
        pytest.skip("TensorFlow cannot convolve in bfloat16 here")
