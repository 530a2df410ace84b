"""A Keras model as an MLflow model, which takes raw pixels and can be served."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy", "pillow")


def write_model(model: keras.Model, folder: Path, *, metadata: dict[str, Any]) -> None:
    """Write a model to `folder` in MLflow's format.

    Args:
        model: takes float32 (n, height, width, channels) in 0..255; gives probabilities.
        folder: an empty folder.
        metadata: what a user of the model has to know, such as its class names.
    """
    import mlflow.tensorflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    float32 = np.dtype("float32")
    mlflow.tensorflow.save_model(
        model,
        str(folder),
        signature=ModelSignature(
            Schema([TensorSpec(float32, (-1, *model.input_shape[1:]))]),
            Schema([TensorSpec(float32, (-1, *model.output_shape[1:]))]),
        ),
        # Named, because MLflow would import the model in another process to find them out.
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        keras_model_kwargs={"include_optimizer": False},
        metadata=metadata,
    )
