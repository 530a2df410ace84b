"""Training images whose labels are doubtful, by the features of the frozen base."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.evaluation.label_errors import find_neighbor_label_errors

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.data.splits import Splits
    from pipeline.stages.train_model import TrainedModel

_MOST_SAID = 5


@dataclass(frozen=True)
class SuspectedLabel:
    """A training image whose neighbours carry another label.

    Attributes:
        index: its place among the training images.
        name: what it is called.
        label: the class that it is in.
        suggested: the class of most of its neighbours.
        share: the share of the neighbours that are in it.
    """

    index: int
    name: str
    label: str
    suggested: str
    share: float


def find_label_errors(splits: Splits, trained: TrainedModel) -> list[SuspectedLabel]:
    """Return the training images whose labels are doubtful, the most doubtful first.

    Nothing is doubted where there are no features of a base that did not learn these labels.
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
        listed = ", ".join(f"{one.name} ({one.suggested}?)" for one in suspects[:_MOST_SAID])
        more = f" and {len(suspects) - _MOST_SAID} more" if len(suspects) > _MOST_SAID else ""
        logger.info(
            f"The labels of {len(suspects)} training images are doubtful: most images like them "
            f"are in another class. Look at {listed}{more}"
        )
    return suspects
