"""The 1,797 handwritten digits of scikit-learn: real data without a download."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.config import Fraction, ImageSize
from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.source_config import SplitName
from pipeline.data.splits import Splits, splits_from_arrays, stratified_split
from pipeline.tasks.tasks import TASKS


class DigitsConfig(ImageSourceConfig):
    """The 8×8 digits of scikit-learn, their values 0..16 scaled to 0..255."""

    orientation_matters: ClassVar[bool] = True

    source: Literal["digits"]
    image_size: ImageSize = Field((8, 8), description="Height and width after resizing.")
    validation: Fraction = Field(
        0.15,
        description="Fraction of the images for the validation split; 0: none, and the last epoch "
        "is kept.",
    )
    test: Fraction = Field(0.15, description="Fraction of the images for the test split.")

    def has_split(self, name: SplitName) -> bool:
        return {"val": self.validation, "test": self.test}[name] > 0

    def class_names(self) -> tuple[str, ...]:
        return tuple("0123456789")

    def load(self) -> Splits:
        import numpy as np
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return splits_from_arrays(
            pixels[..., np.newaxis],
            digits.target,
            image_size=self.image_size,
            class_names=self.class_names(),
            task=TASKS[self.task],
            parts=stratified_split(
                digits.target, fractions=(self.validation, self.test), seed=self.split_seed
            ),
        )
