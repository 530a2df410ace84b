"""Find training images that are probably mislabeled, by features of the frozen base."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from pipeline.data.splits import Splits
from pipeline.evaluation.label_errors import MIN_AGREEMENT, other_labels_of_neighbors
from pipeline.stages.train_model import TrainedModel

logger = logging.getLogger(__name__)


_MAX_NAMED = 5  # images in the log message


@dataclass(frozen=True)
class SuspectedLabel:
    """A training image whose nearest neighbors have another label.

    Attributes:
        index: in the training split.
        name: of the image, as in the split.
        label: its class.
        suggested: the class of most of its neighbors.
        share: of its neighbors that are in that class.
    """

    index: int
    name: str
    label: str
    suggested: str
    share: float


def find_label_errors(splits: Splits, trained: TrainedModel) -> list[SuspectedLabel] | None:
    """Return the training images that are probably mislabeled, the most probable first.

    Returns:
        None without features of a base that was not trained on these labels.
    """
    features = trained.trainer.pretrained_features()
    if features is None:
        return None
    split, names = splits.train, splits.class_names
    suggested, agreement = other_labels_of_neighbors(features, split.labels)
    suspects = [
        SuspectedLabel(
            index,
            split.names[index],
            names[split.labels[index]],
            names[suggested[index]],
            float(agreement[index]),
        )
        for index in np.flatnonzero(agreement >= MIN_AGREEMENT).tolist()
    ]
    suspects.sort(key=lambda suspect: (-suspect.share, suspect.name))
    if suspects:
        named = ", ".join(f"{one.name} ({one.suggested}?)" for one in suspects[:_MAX_NAMED])
        more = f" and {len(suspects) - _MAX_NAMED} more" if len(suspects) > _MAX_NAMED else ""
        logger.info(
            f"The labels of {len(suspects)} training images may be wrong: most similar images are "
            f"in another class. Check {named}{more}"
        )
    return suspects
