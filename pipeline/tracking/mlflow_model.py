"""A Keras model as an MLflow model, which can be loaded, registered and served."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow.tensorflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

from pipeline.errors import ModelError

if TYPE_CHECKING:
    import keras

REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy", "pillow")

# Where the files that belong to the model lie in its folder.
DATA = "data"


def write_model(
    model: keras.Model,
    folder: Path,
    *,
    metadata: dict[str, Any],
    loader: str,
    column: str,
    beside: Callable[[Path], None],
) -> None:
    """Write a model to `folder` in MLflow's format.

    Args:
        model: takes (n, height, width, channels) in 0..255; gives probabilities.
        folder: an empty folder.
        metadata: what a user of the model has to know, such as its class names.
        loader: the module that MLflow loads the model with where it is served.
        column: the column of images that the served model takes.
        beside: is called with the folder of the model's file, to put there what the loader needs.
    """
    float32 = np.dtype("float32")
    mlflow.tensorflow.save_model(
        model,
        str(folder),
        signature=ModelSignature(Schema([TensorSpec(float32, (-1, *model.input_shape[1:]))])),
        # Named, because MLflow would import the model in another process to find them out.
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        keras_model_kwargs={"include_optimizer": False},
        metadata=metadata,
    )
    beside(folder / DATA)
    described = Model.load(str(folder))
    described.flavors["python_function"]["loader_module"] = loader
    described.signature = ModelSignature(
        inputs=Schema([ColSpec(AnyType(), column)]),
        outputs=Schema(
            [
                ColSpec("string", "class"),
                ColSpec("double", "probability"),
                ColSpec(AnyType(), "probabilities"),
                ColSpec("string", "error"),
            ]
        ),
    )
    described.save(str(folder / "MLmodel"))


def check_no_foreign_code(folder: Path, *, loader: str) -> None:
    """Check that loading the model in a folder runs no code but this package's.

    Raises:
        ModelError: if MLflow would load it with another module, or with code that lies beside it.
    """
    function = Model.load(str(folder)).flavors.get("python_function", {})
    if function.get("loader_module") != loader or function.get("code"):
        raise ModelError(
            f"The model in {folder} was not logged by `pipeline run`: MLflow would load it with "
            f"{function.get('loader_module')}, and with the code that came with it. If you trust "
            f"it, serve it with: mlflow models serve -m {folder}"
        )
