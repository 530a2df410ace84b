"""A .keras file from anywhere, loaded so that nothing in it runs.

Keras's own safe mode refuses the ways to code that its authors know of. Before it reads a file, the
file is held to what a network is made of, and what else is in it is named.
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
_MOST_CONFIG = 64 * 2**20  # bytes; the largest network of keras.applications takes 1

# The parts of Keras that a network is made of: nothing in them reads files or loads code, but for
# the layers below.
_PARTS = re.compile(
    "activations|applications|constraints|dtype_policies|initializers|layers|losses|metrics|models|"
    "ops|optimizers|quantizers|random|regularizers"
)
_LAYERS_OF_CODE = frozenset({"FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"})
_PLAIN_VALUES = frozenset(
    {"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}
)
_KEYS_OF_FILES = ("filepath", "idf_weights", "vocabulary")


def load_keras_file(path: Path) -> keras.Model:
    """Return the model in a .keras file, not compiled.

    Raises:
        ModelError: if it is no such file, or holds code or anything else than a network of Keras's
            own layers and their weights.
    """
    import keras

    try:
        _refuse_foreign(path)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except ModelError:
        raise
    except Exception as error:  # whatever a file from elsewhere leads the loader to
        text = str(error).strip()
        found = re.search(r"Not allowed: .*", text)  # Keras puts what it is after a list
        first = found[0] if found else first_line(error)
        raise ModelError(f"{path} cannot be loaded as a Keras model. {first[:300]}") from None
    for warning in warned:
        if "freshly-initialized" in str(warning.message):
            raise ModelError(f"{path} lacks weights of its own layers. {warning.message}")
    return model


def _refuse_foreign(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename.replace("\\", "/"))
            is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
            if name.is_absolute() or ".." in name.parts or is_link:
                raise _refusal(path, f"{member.filename!r} would be written outside its folder")
        size = archive.getinfo(_CONFIG).file_size
        if size > _MOST_CONFIG:
            raise _refusal(path, f"its {_CONFIG} takes {size:,} bytes, which no network does")
        config = json.loads(archive.read(_CONFIG))
    for finding in _foreign_in(config):
        raise _refusal(path, finding)


def _refusal(path: Path, finding: str) -> ModelError:
    return ModelError(
        f"{path} is refused: {finding}. A model file may hold Keras's own layers and their weights "
        "only: no code, and nothing of other files."
    )


def _foreign_in(config: Any) -> Iterator[str]:
    """Yield what is in a model's configuration that is no network."""
    waiting: list[tuple[Any, str]] = [(config, "the model")]
    while waiting:
        value, owner = waiting.pop()
        if isinstance(value, list):
            waiting.extend((item, owner) for item in reversed(value))
        if not isinstance(value, dict):
            continue
        owner = _name_of(value) or owner
        if "class_name" in value:
            finding = _foreign_object(value)
            if finding:
                yield f"{owner} {finding}"
        for key in _KEYS_OF_FILES:
            if isinstance(value.get(key), str):
                yield f"{owner} reads the file {value[key]!r}"
        waiting.extend((inner, owner) for inner in reversed(value.values()))


def _name_of(value: dict[str, Any]) -> str:
    inner = value.get("config")
    if "class_name" not in value or not isinstance(inner, dict) or "name" not in inner:
        return ""
    return f"the layer {inner['name']!r}"


def _foreign_object(value: dict[str, Any]) -> str:
    """Return what an object in a configuration is if it is no part of a network, else nothing."""
    name, module = value["class_name"], value.get("module")
    registered = value.get("registered_name")
    if name == "__lambda__":
        return "holds Python code, a lambda"
    if name in _PLAIN_VALUES:
        return ""
    if name in _LAYERS_OF_CODE:
        return f"is a {name}, which holds or loads code"
    if name == "function":
        name = registered = value["config"]
        if module == "builtins":
            return ""  # a name among Keras's own
    parts = str(module).removeprefix("keras.src.").removeprefix("keras.").split(".")
    if module != "keras" and not (str(module).startswith("keras.") and _PARTS.fullmatch(parts[0])):
        where = f"from the module {module!r}" if module else f"registered as {registered!r}"
        return f"needs {name!r} {where}"
    if registered not in (None, "", name):
        return f"asks for {registered!r} under the name of {name!r}"
    return ""
