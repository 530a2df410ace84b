"""What a model predicts: image files, or rows of tables with numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.data.number_values import parse_numbers
from pipeline.inference.input_files import expand_paths
from pipeline.inference.input_item import InputItem
from pipeline.inference.input_shards import list_shards
from pipeline.inference.model_interface import ModelInterface
from pipeline.inference.shard_items import shard_items


def find_inputs(arguments: Sequence[str], interface: ModelInterface) -> list[InputItem]:
    """Return the images, or the rows of tables, that arguments name.

    Args:
        arguments: paths as `expand_paths` takes them; of tables, for a model of numbers.
        interface: of the model.

    Raises:
        UsageError: if there is no such file, or a table lacks a column of the model.
    """
    if not interface.takes_numbers:
        return [InputItem(str(path)) for path in expand_paths(arguments)]
    shards = list_shards(arguments, interface)
    return [item for shard in shards for item in shard_items(shard, takes_numbers=True)]


def input_reader(interface: ModelInterface) -> Callable[[InputItem], np.ndarray]:
    """Return the function that reads an item as a model takes it, as `predict` expects."""
    names = interface.feature_names

    def read(item: InputItem) -> np.ndarray:
        if names is not None:
            return parse_numbers(item.values, names)
        return (
            interface.read(item.file) if item.content is None else interface.decode(item.content())
        )

    return read
