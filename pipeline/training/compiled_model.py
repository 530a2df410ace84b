"""A model that is compiled once and trained several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from pipeline.training.validation import Validation


@dataclass
class CompiledModel:
    """A model that was compiled for training, to be trained again without compiling it.

    Attributes:
        model: None until it is trained for the first time.
        validation: of the model.
        optimizer: the values of the variables of its optimizer before training.
    """

    model: keras.Model | None = None
    validation: Validation | None = None
    optimizer: Sequence[np.ndarray] = ()
