"""The key `training.loss` of a recipe."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pipeline.config import (
    Config,
    Fraction,
    NonNegativeFloat,
    PositiveFloat32,
    single_key_union,
    unwrap_single_key,
)


class FocalCrossEntropy(Config):
    """Cross-entropy with less weight on well-classified images (Lin et al., 2017)."""

    gamma: NonNegativeFloat = Field(
        2.0, description="Focusing parameter: the higher, the less weight; 0 is cross-entropy."
    )


class BinaryFocalCrossEntropy(FocalCrossEntropy):
    """Focal cross-entropy with one sigmoid unit, or with one for each label."""


class AsymmetricCrossEntropy(Config):
    """Binary cross-entropy with less weight on what an image is not of (Ridnik et al., 2021)."""

    gamma_positive: NonNegativeFloat = Field(
        0.0, description="Focusing parameter of the classes that an image is of."
    )
    gamma_negative: NonNegativeFloat = Field(
        4.0, description="Focusing parameter of the other classes."
    )
    clip: Fraction = Field(
        0.05, description="Subtracted from the probabilities of the other classes, down to 0."
    )


class Huber(Config):
    """Squared error of small errors and absolute error of large ones (Huber, 1964)."""

    delta: PositiveFloat32 = Field(
        1.0, description="Where one becomes the other, in standard deviations of the label."
    )


_SECTIONS: dict[str, type[Config]] = {
    "focal_cross_entropy": FocalCrossEntropy,
    "binary_focal_cross_entropy": BinaryFocalCrossEntropy,
    "asymmetric_cross_entropy": AsymmetricCrossEntropy,
    "huber": Huber,
}
LOSS_NAMES = (
    *("cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error"),
    *_SECTIONS,
)

# A name, or a section with it as its only key: {focal_cross_entropy: {gamma: 1.5}}.
Loss = Annotated[Any, single_key_union(_SECTIONS, names=LOSS_NAMES)]


def loss_name(loss: Any) -> str:
    """Return the name of a loss."""
    return loss if isinstance(loss, str) else unwrap_single_key(loss)[0]


def loss_section(loss: Any) -> Config | None:
    """Return the section of a loss that has one, else None."""
    if not isinstance(loss, str):
        section: Config = unwrap_single_key(loss)[1]
        return section
    return _SECTIONS[loss]() if loss in _SECTIONS else None
