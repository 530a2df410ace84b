"""The model behind MLflow's scoring server, which tells a client what is wrong with a request."""

from __future__ import annotations

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel

from pipeline.errors import PipelineError


class ServedModel:
    """An MLflow model whose expected failures are MLflow's.

    The scoring server responds to any other exception with a traceback, and without its message.
    """

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model

    @property
    def metadata(self) -> Model:
        """What MLflow knows of the model, such as the schema of its input."""
        return self._model.metadata

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Predict as the model does.

        Raises:
            MlflowException: with the message of a `PipelineError`.
        """
        try:
            return self._model.predict(data, params=params)
        except PipelineError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
