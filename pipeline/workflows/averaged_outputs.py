"""Outputs that are means over views of an image: how many views there may be, and a description.

It loads no library.
"""

from __future__ import annotations

from pipeline.errors import UsageError


def check_views(views: int, confidence_level: float | None = None) -> None:
    """Check how many views of each image outputs are averaged over.

    Args:
        views: their number.
        confidence_level: of prediction sets; None for none.

    Raises:
        UsageError: if there are none, or several and prediction sets.
    """
    if views < 1:
        raise UsageError(f"views: expected an integer, 1 or more. Received {views!r}.")
    if views > 1 and confidence_level is not None:
        raise UsageError(
            "Several views and a confidence level cannot be used together: the prediction sets are "
            "calibrated for the outputs of single images. Leave out one of them."
        )


def describe_views(views: int) -> str:
    """Return what outputs over so many views are, such as `mean over 4 views…`."""
    return f"mean over {views} views of an image, itself and {views - 1} by data.augmentation"
