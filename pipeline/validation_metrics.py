"""The names of the metrics of the validation images, as a recipe may name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError

from pipeline.config import Expected, invalid_value
from pipeline.metric_direction import DIRECTIONS
from pipeline.suggestions import did_you_mean

OF_CLASSES = ("precision", "recall", "f1")
AVERAGES = ("macro", "weighted")
_NAMES = tuple(
    f"val_{name}" for name in (*DIRECTIONS, *(f"{m}_{a}" for m in OF_CLASSES for a in AVERAGES))
)
_PATTERN = rf"^({'|'.join(_NAMES)}|val_top_[0-9]+_accuracy|val_({'|'.join(OF_CLASSES)})/.+)$"


@dataclass(frozen=True)
class _KnownMetric(Expected):
    """Type metadata: an unknown name is reported with those that there are and a similar one."""

    def _validate(self, value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            hint = did_you_mean(value, _NAMES) if isinstance(value, str) else ""
            raise invalid_value(self.wording, hint) from None


ValidationMetric = Annotated[
    str,
    Field(pattern=_PATTERN),
    _KnownMetric(
        f"one of: {', '.join(_NAMES)}, val_top_K_accuracy, val_precision/CLASS, val_recall/CLASS, "
        "val_f1/CLASS"
    ),
]
