"""Finds training images whose labels may be wrong, by the features of the frozen base."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.evaluation.label_errors import find_neighbor_label_errors

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.data.splits import Splits
    from pipeline.stages.train_model import TrainedModel

_MAX_LISTED = 5


@dataclass(frozen=True)
class SuspectedLabel:
    """A training image whose nearest neighbours mostly have another label.

    Attributes:
        index: its index among the training images.
        name: its name.
        label: its class.
        suggested: the class of most of its neighbours.
        share: the share of the neighbours in that class.
    """

    index: int
    name: str
    label: str
    suggested: str
    share: float


def find_label_errors(splits: Splits, trained: TrainedModel) -> list[SuspectedLabel]:
    """Return the training images whose labels may be wrong, the least plausible labels first.

    The result is empty without a frozen base, whose features do not depend on these labels.
    """
    if not trained.fitting:
        return []
    split, names = splits.train, splits.class_names
    found = find_neighbor_label_errors(trained.fitting.training_features, split.labels)
    suspects = [
        SuspectedLabel(
            int(index),
            split.names[index],
            names[split.labels[index]],
            names[suggested],
            float(share),
        )
        for index, suggested, share in zip(
            found.indices, found.suggested, found.shares, strict=True
        )
    ]
    if suspects:
        listed = ", ".join(f"{one.name} ({one.suggested}?)" for one in suspects[:_MAX_LISTED])
        more = f" and {len(suspects) - _MAX_LISTED} more" if len(suspects) > _MAX_LISTED else ""
        logger.info(
            f"The labels of {len(suspects)} training images may be wrong: most similar images are "
            f"in another class. Check {listed}{more}"
        )
    return suspects
