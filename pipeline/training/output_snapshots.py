"""What a model computes for some inputs, after several epochs of its training."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.atomic_files import atomic_write

FILE = "outputs_by_epoch.npz"
_FACTORS = (1, 2, 5)  # of powers of ten: the epochs that are kept


class OutputSnapshots:
    """Keeps the outputs of a model after epochs 1, 2, 5, 10, 20 and so on.

    Attributes:
        inputs: float32 (n, numbers).
        outputs: by epoch, float32 (n, units).
    """

    def __init__(self, model: keras.Model, inputs: np.ndarray, directory: Path | None) -> None:
        """Begin, or continue with the snapshots of an interrupted training.

        Args:
            model: that is trained.
            inputs: for which its outputs are kept.
            directory: of the checkpoints; None without.
        """
        self.inputs = inputs
        self.outputs: dict[int, np.ndarray] = {}
        self._model, self._file = model, directory and directory / FILE
        if self._file and self._file.is_file():
            with np.load(self._file, allow_pickle=False) as archive:
                self.outputs = {int(epoch): archive[epoch] for epoch in archive.files}

    def take(self, epoch: int) -> None:
        """Keep the outputs after an epoch, counted from 1, if it is one of those."""
        leading = epoch // 10 ** (len(str(epoch)) - 1)
        if leading not in _FACTORS or epoch % 10 ** (len(str(epoch)) - 1):
            return
        self.outputs[epoch] = self.compute()
        if self._file:
            content = io.BytesIO()
            arrays: dict[str, Any] = {str(each): array for each, array in self.outputs.items()}
            np.savez(content, **arrays)
            atomic_write(self._file, content.getvalue())

    def compute(self) -> np.ndarray:
        """Return the outputs with the weights of now, float32 (n, units)."""
        return np.asarray(self._model(self.inputs, training=False), np.float32)
