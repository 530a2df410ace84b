"""Writes a Keras model as an MLflow model, which can be loaded, registered and served."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import mlflow.tensorflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

from pipeline.errors import ModelError

REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy", "pillow")

# The sub-directory with the model's own files.
DATA = "data"


def write_model(
    model: keras.Model,
    directory: Path,
    *,
    metadata: dict[str, Any],
    loader: str,
    column: str,
    example: str,
) -> None:
    """Write a model to `directory` in MLflow's format.

    Args:
        model: maps images (n, height, width, channels) in 0..255 to probabilities (n, classes).
        directory: an empty directory.
        metadata: what a user of the model needs to know, such as its class names.
        loader: the module that loads the model when it is served.
        column: the name of the served model's input column.
        example: a value of that column, kept as an example of the input.
    """
    float32 = np.dtype("float32")
    mlflow.tensorflow.save_model(
        model,
        str(directory),
        signature=ModelSignature(Schema([TensorSpec(float32, (-1, *model.input_shape[1:]))])),
        # Without them MLflow would load the model in another process to find them.
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        keras_model_kwargs={"include_optimizer": False},
        metadata=metadata,
        input_example=pd.DataFrame({column: [example]}),
    )
    described = Model.load(str(directory))
    described.flavors["python_function"]["loader_module"] = loader
    outputs = [
        ColSpec("string", "class"),
        ColSpec("double", "probability"),
        ColSpec(AnyType(), "probabilities"),
        ColSpec("string", "error"),
    ]
    described.signature = ModelSignature(Schema([ColSpec(AnyType(), column)]), Schema(outputs))
    described.save(str(directory / "MLmodel"))


def check_no_foreign_code(directory: Path, *, loader: str) -> None:
    """Check that loading a model runs no code except this package's.

    Raises:
        ModelError: if MLflow would load it with another module, or with code from its files.
    """
    function = Model.load(str(directory)).flavors.get("python_function", {})
    if function.get("loader_module") != loader or function.get("code"):
        raise ModelError(
            f"The model in {directory} was not logged by `pipeline run`: MLflow would load it with "
            f"{function.get('loader_module')}, and with the code that came with it. If you trust "
            f"it, serve it with: mlflow models serve -m {directory}"
        )
