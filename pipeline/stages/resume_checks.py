"""What a run has to agree with to go on where it was interrupted."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.atomic_files import atomic_write
from pipeline.errors import DataError, TrackingError, UsageError
from pipeline.recipe.loader import LoadedRecipe, run_parameters

logger = logging.getLogger(__name__)

_ORIGIN = "origin.json"
_ENGINES = ("tensorflow", "keras")
_MOST_SHOWN = 20


def save_origin(folder: Path, loaded: LoadedRecipe) -> None:
    """Write down what a run is made from, in the folder of its checkpoints.

    Raises:
        TrackingError: if it cannot be written.
    """
    versions = {name: version(name) for name in _ENGINES}
    _write(folder, {"recipe": run_parameters(loaded.recipe, loaded.secrets), "versions": versions})


def check_same_recipe(folder: Path, loaded: LoadedRecipe) -> None:
    """Check that a run goes on with the recipe that it began with.

    Raises:
        UsageError: if the recipe was changed; it names what changed.
    """
    origin = _read(folder)
    before, now = origin["recipe"], run_parameters(loaded.recipe, loaded.secrets)
    changed = [
        f"  {path}: {_shown(before, path)} then, {_shown(now, path)} now"
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
    ]
    if changed:
        rest = len(changed) - _MOST_SHOWN
        lines = changed[:_MOST_SHOWN] + [f"  and {rest} more"] * (rest > 0)
        raise UsageError(
            f"Run {folder.name} was begun with another recipe:\n"
            + "\n".join(lines)
            + "\nTake the changes back, or start a new run without --resume."
        )
    for name, then in origin["versions"].items():
        if version(name) != then:
            logger.warning(
                f"the run was begun with {name} {then} and goes on with {version(name)}: "
                "its metrics may differ from those of a run that was not interrupted."
            )


def check_same_images(folder: Path, digest: str) -> None:
    """Check that a run goes on with the images that it began with.

    Raises:
        DataError: if the images are not the same.
        TrackingError: if their digest cannot be written down.
    """
    origin = _read(folder)
    before = origin.setdefault("data", digest)
    if before != digest:
        raise DataError(
            f"The images are not those that run {folder.name} was begun with (digest "
            f"{before[:12]} then, {digest[:12]} now). Put them back, or start a new run without "
            "--resume."
        )
    _write(folder, origin)


def resume_command(loaded: LoadedRecipe, run_id: str) -> str:
    """Return the command line with which a run goes on."""
    changes = [word for change in loaded.overrides for word in ("--set", change)]
    return shlex.join(["pipeline", "run", str(loaded.path), *changes, "--resume", run_id])


def _shown(values: Mapping[str, str], path: str) -> str:
    return values.get(path, "absent")


def _read(folder: Path) -> dict[str, Any]:
    try:
        origin: dict[str, Any] = json.loads((folder / _ORIGIN).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Run {folder.name} cannot go on: {folder / _ORIGIN} cannot be read: {error}. Start "
            "it anew without --resume."
        ) from None
    return origin


def _write(folder: Path, origin: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / _ORIGIN, json.dumps(origin, indent=1).encode())
    except OSError as error:
        raise TrackingError(
            f"{folder} cannot be written to: {error.strerror or error}. A run keeps there what it "
            "can go on from: make room, or start it in a folder that is yours."
        ) from None
