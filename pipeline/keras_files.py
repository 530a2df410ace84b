"""Load .keras files from untrusted sources without running code in them.

Keras's safe mode blocks known ways to run code. Before Keras reads a file, this module checks that
it only contains Keras layers and weights.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError, first_line

if TYPE_CHECKING:
    import keras

_CONFIG = "config.json"
_MAX_CONFIG_BYTES = 64 * 2**20  # the largest network of keras.applications has 1 MiB

# Modules of Keras that neither read files nor load code, except for the layers below.
_MODULES = re.compile(
    "activations|applications|constraints|dtype_policies|initializers|layers|losses|metrics|models|"
    "ops|optimizers|quantizers|random|regularizers"
)
_CODE_LAYERS = frozenset({"FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"})
_PLAIN_VALUES = frozenset(
    {"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}
)
_FILE_KEYS = ("filepath", "idf_weights", "vocabulary")


def load_keras_file(path: Path) -> keras.Model:
    """Return the model in a .keras file, not compiled.

    Raises:
        ModelError: if it cannot be loaded, or contains anything but Keras layers and weights.
    """
    import keras

    try:
        for finding in _unsafe_contents(path):
            raise ModelError(
                f"{path} is unsafe: {finding}. A model file may only contain Keras layers and "
                "weights, no code and no other files."
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except ModelError:
        raise
    except Exception as error:  # Keras raises many types for an invalid file
        reason = re.search(r"Not allowed: .*", str(error))  # Keras appends it to a list
        first = first_line(reason[0] if reason else error)
        raise ModelError(f"{path} cannot be loaded as a Keras model. {first}") from None
    for warning in caught:
        if "freshly-initialized" in str(warning.message):
            raise ModelError(f"{path} has no weights for some of its layers. {warning.message}")
    return model


def _unsafe_contents(path: Path) -> Iterator[str]:
    """Yield the unsafe contents of a file; what follows one is not safe to read."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename.replace("\\", "/"))
            is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
            if name.is_absolute() or ".." in name.parts or is_link:
                yield f"{member.filename!r} would be written outside its directory"
        size = archive.getinfo(_CONFIG).file_size
        if size > _MAX_CONFIG_BYTES:
            yield f"its {_CONFIG} has {size:,} bytes, more than any model needs"
        yield from _unsafe_parts(json.loads(archive.read(_CONFIG)))


def _unsafe_parts(config: Any) -> Iterator[str]:
    """Yield the unsafe parts of the configuration of a model."""
    waiting: list[tuple[Any, str]] = [(config, "the model")]
    while waiting:
        value, owner = waiting.pop()
        if isinstance(value, list):
            waiting.extend((item, owner) for item in reversed(value))
        if not isinstance(value, dict):
            continue
        owner = _name_of(value) or owner
        if "class_name" in value:
            finding = _unsafe_object(value)
            if finding:
                yield f"{owner} {finding}"
        for key in _FILE_KEYS:
            if isinstance(value.get(key), str):
                yield f"{owner} reads the file {value[key]!r}"
        waiting.extend((inner, owner) for inner in reversed(value.values()))


def _name_of(value: dict[str, Any]) -> str:
    inner = value.get("config")
    if "class_name" not in value or not isinstance(inner, dict) or "name" not in inner:
        return ""
    return f"the layer {inner['name']!r}"


def _unsafe_object(value: dict[str, Any]) -> str:
    """Return why an object of a configuration is unsafe, or an empty string."""
    name, module = value["class_name"], value.get("module")
    registered = value.get("registered_name")
    if name == "__lambda__":
        return "contains a Python lambda"
    if name in _PLAIN_VALUES:
        return ""
    if name in _CODE_LAYERS:
        return f"is a {name}, which contains or loads code"
    if name == "function":
        name = registered = value["config"]
        if module == "builtins":
            return ""  # one of Keras's own
    parts = str(module).removeprefix("keras.src.").removeprefix("keras.").split(".")
    is_part = str(module).startswith("keras.") and _MODULES.fullmatch(parts[0])
    if module != "keras" and not is_part:
        where = f"from the module {module!r}" if module else f"registered as {registered!r}"
        return f"needs {name!r} {where}"
    if registered not in (None, "", name):
        return f"is registered as {registered!r} but called {name!r}"
    return ""
