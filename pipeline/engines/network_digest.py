"""A digest of what a network computes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras
import numpy as np

from pipeline.engines.folding import input_tensors, source_of


def network_digest(network: keras.Model) -> str:
    """Return a digest of what a network computes: its operations, their configuration and weights.

    Names are left out because Keras numbers them within a process.
    """
    digest = hashlib.sha256()
    indices = {operation.name: i for i, operation in enumerate(network.operations)}
    for operation in network.operations:
        config = operation.get_config() if isinstance(operation, keras.Layer) else {}
        sources = [indices.get(source_of(tensor).name) for tensor in input_tensors(operation)]
        description = [type(operation).__name__, _without_names(config), sources]
        digest.update(json.dumps(description, sort_keys=True, default=str).encode())
        for weight in getattr(operation, "weights", ()):
            digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        names = ("name", "shared_object_id", "input_layers", "output_layers", "inbound_nodes")
        return {key: _without_names(item) for key, item in value.items() if key not in names}
    if isinstance(value, list | tuple):
        return [_without_names(item) for item in value]
    return value
