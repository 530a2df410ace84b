"""The modules that load a logged model where this package is not installed."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.inference import pyfunc_model

_ROOT = Path(__file__).parent.parent
_PACKAGE = _ROOT.name
# What loads a model, and what that imports only when it is needed.
_MODULES = (
    pyfunc_model.__name__,
    f"{_PACKAGE}.inference.classifier",
    f"{_PACKAGE}.engines.openvino_runtime",
)
_INIT = '"""Loads a model that `pipeline run` logged."""\n'


def write_model_code(directory: Path) -> tuple[Path, str]:
    """Write a package of `pyfunc_model` and what it imports of this package.

    Its name contains a digest, so that it hides neither this package where that is installed, nor
    the code of a model that another version logged.

    Args:
        directory: an empty directory.

    Returns:
        The directory of the package, and the name of its module with `_load_pyfunc`.
    """
    sources = _sources(_MODULES)
    text = "".join(source for _, source in sorted(sources.items()))
    name = f"{_PACKAGE}_model_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    package = directory / name
    for path, source in {"__init__.py": _INIT, **sources}.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(_renamed(source, name), "utf-8")
    return package, pyfunc_model.__name__.replace(_PACKAGE, name, 1)


def _sources(modules: Iterable[str]) -> dict[str, str]:
    """Return the source of modules and of all that they import of this package, by path."""
    sources: dict[str, str] = {}
    pending = list(modules)
    while pending:
        parts = pending.pop().split(".")[1:]
        path = _file(parts)
        if path is None or path in sources:
            continue
        sources[path] = (_ROOT / path).read_text("utf-8")
        pending += [".".join([_PACKAGE, *parts[:depth]]) for depth in range(1, len(parts))]
        pending += _imports(sources[path])
    return sources


def _file(parts: list[str]) -> str | None:
    """Return the path of a module below the package, None if it is none, such as a function."""
    if not parts:  # the package itself, which imports everything
        return None
    for path in ("/".join([*parts, "__init__.py"]), "/".join(parts) + ".py"):
        if (_ROOT / path).is_file():
            return path
    return None


def _imports(source: str) -> Iterator[str]:
    """Yield the names of the modules of this package that a module imports, and of members.

    What a function imports is needed for training or evaluation alone.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == _PACKAGE:
            yield str(node.module)
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith(f"{_PACKAGE}."))


def _renamed(source: str, name: str) -> str:
    """Return a source that imports from a package of another name."""
    return re.sub(rf"^(\s*(?:from|import) ){_PACKAGE}\b", rf"\g<1>{name}", source, flags=re.M)
