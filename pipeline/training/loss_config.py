"""The key `training.loss` of a recipe."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pipeline.config import Config, NonNegativeFloat, single_key_union, unwrap_single_key


class FocalCrossEntropy(Config):
    """Cross-entropy with less weight on well-classified images (Lin et al., 2017)."""

    gamma: NonNegativeFloat = Field(
        2.0, description="Focusing parameter: the higher, the less weight; 0 is cross-entropy."
    )


class BinaryFocalCrossEntropy(FocalCrossEntropy):
    """Focal cross-entropy with one sigmoid unit."""


_SECTIONS: dict[str, type[Config]] = {
    "focal_cross_entropy": FocalCrossEntropy,
    "binary_focal_cross_entropy": BinaryFocalCrossEntropy,
}
_NAMES = ("cross_entropy", "binary_cross_entropy", *_SECTIONS)

# A name, or a section with it as its only key: {focal_cross_entropy: {gamma: 1.5}}.
Loss = Annotated[Any, single_key_union(_SECTIONS, names=_NAMES)]


def loss_name(loss: Any) -> str:
    """Return the name of a loss."""
    return loss if isinstance(loss, str) else unwrap_single_key(loss)[0]


def focal_section(loss: Any) -> FocalCrossEntropy | None:
    """Return the section of a focal loss, None for another loss."""
    if not isinstance(loss, str):
        section: FocalCrossEntropy = unwrap_single_key(loss)[1]
        return section
    return _SECTIONS[loss]() if loss in _SECTIONS else None  # type: ignore[return-value]
