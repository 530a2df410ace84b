"""Writes a Keras model as an MLflow model, which can be loaded, registered and served."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import mlflow.tensorflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from pandas.api.types import is_numeric_dtype

_REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy", "pandas", "pillow")
_OPTIONAL = ("openvino",)  # computes the model's graph, if it has one


def write_model(
    model: keras.Model,
    directory: Path,
    *,
    metadata: dict[str, Any],
    loader: str,
    code: Path,
    example: pd.DataFrame,
    answer: Mapping[str, str],
) -> None:
    """Write a model to `directory` in MLflow's format.

    Args:
        model: maps images (n, height, width, channels) in 0..255, or numbers (n, numbers), to
            outputs (n, units).
        directory: an empty directory.
        metadata: what a user of the model needs to know, such as its class names.
        loader: the module that loads the model when it is served.
        code: the directory of the package with that module; it is copied into the model.
        example: of the served model's input, which has its columns: numbers, or anything.
        answer: the names and types of what the task answers, the first columns of the output.
    """
    float32 = np.dtype("float32")
    with warnings.catch_warnings():
        # MLflow compares the names of the columns of the example with a range.
        warnings.filterwarnings("ignore", "Operation with range is deprecated")
        mlflow.tensorflow.save_model(
            model,
            str(directory),
            signature=ModelSignature(Schema([TensorSpec(float32, (-1, *model.input_shape[1:]))])),
            # Without them MLflow would load the model in another process to find them.
            pip_requirements=[f"{name}=={version(name)}" for name in _required_packages()],
            code_paths=[str(code)],
            keras_model_kwargs={"include_optimizer": False},
            metadata=metadata,
            input_example=example,
        )
    described = Model.load(str(directory))
    described.flavors["python_function"]["loader_module"] = loader
    outputs = [
        *(ColSpec(AnyType() if kind == "any" else kind, name) for name, kind in answer.items()),
        ColSpec(AnyType(), "prediction_set"),
        ColSpec("double", "distance"),
        ColSpec("boolean", "unknown"),
        ColSpec("string", "error"),
    ]
    described.signature = ModelSignature(
        Schema(
            [
                ColSpec("double" if is_numeric_dtype(values) else AnyType(), str(name))
                for name, values in example.items()
            ]
        ),
        Schema(outputs),
        ParamSchema([ParamSpec("confidence_level", "double", default=None)]),
    )
    described.save(str(directory / "MLmodel"))


def _required_packages() -> list[str]:
    """Return the packages that a model needs, with those that this environment has besides."""
    return [*_REQUIREMENTS, *(name for name in _OPTIONAL if importlib.util.find_spec(name))]
