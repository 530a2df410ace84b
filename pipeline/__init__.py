"""One YAML recipe becomes a trained, tracked image classifier.

>>> import pipeline
>>> result = pipeline.run("recipe.yaml", {"training.epochs": 3})
>>> pipeline.load("latest").predict("photographs/")
"""

__version__ = "0.1.0"

from pipeline.api import (
    check,
    init,
    inspect,
    load,
    predict,
    run,
    run_seeds,
    tune,
    validate,
)
from pipeline.errors import (
    DataError,
    DivergedError,
    ModelError,
    PipelineError,
    RecipeError,
    RecipeProblem,
    TrackingError,
    TrainingError,
    UsageError,
)
from pipeline.inference.prediction_table import ImagePrediction, PredictionTable
from pipeline.workflows.evaluation_result import EvaluationResult
from pipeline.workflows.loaded_model import Model

__all__ = [
    "DataError",
    "DivergedError",
    "EvaluationResult",
    "ImagePrediction",
    "Model",
    "ModelError",
    "PipelineError",
    "PredictionTable",
    "RecipeError",
    "RecipeProblem",
    "TrackingError",
    "TrainingError",
    "UsageError",
    "__version__",
    "check",
    "init",
    "inspect",
    "load",
    "predict",
    "run",
    "run_seeds",
    "tune",
    "validate",
]
