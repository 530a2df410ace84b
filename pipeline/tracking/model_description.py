"""Describes an MLflow model anew, so that none of its code runs. It imports no TensorFlow."""

from __future__ import annotations

import platform
from pathlib import Path

from mlflow.models import Model

from pipeline.tracking.stored_model import DATA


def describe_without_code(directory: Path, copy: Path, *, loader: str) -> None:
    """Describe a model anew, so that MLflow loads it with a module of this package.

    A model may come from anybody. Only its description for people is taken over, no code, module
    or environment.

    Args:
        directory: the files of an MLflow model.
        copy: an empty directory. It refers to the files of the model.
        loader: the module that loads the model.
    """
    described = Model.load(str(directory))
    pyfunc = {"loader_module": loader, "data": DATA, "python_version": platform.python_version()}
    described.flavors = {"python_function": pyfunc}
    described.save(str(copy / "MLmodel"))
    (copy / DATA).symlink_to((directory / DATA).absolute())
