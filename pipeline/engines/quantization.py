"""Quantize an OpenVINO model to int8."""

from __future__ import annotations

import contextlib
import io
import logging

from pipeline.engines.openvino_package import openvino

# isort: split
import nncf  # which imports OpenVINO
import numpy as np


def quantize(model: openvino.Model, images: np.ndarray) -> openvino.Model:
    """Return a copy whose convolutions and dense layers compute in int8.

    Post-training quantization: the ranges of the activations are measured on images.

    Args:
        model: takes batches of images of any size.
        images: real images as the model takes them, float32 (n, height, width, channels).
    """
    dataset = nncf.Dataset([image[np.newaxis] for image in images])
    # Its messages and the steps of its progress are for its developers.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(model, dataset, subset_size=len(images))
