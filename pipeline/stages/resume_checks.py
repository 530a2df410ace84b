"""Checks that a resumed run has the recipe and the images that it was started with."""

from __future__ import annotations

import json
import logging
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.atomic_files import atomic_write
from pipeline.errors import DataError, TrackingError, UsageError
from pipeline.recipe.loader import LoadedRecipe, run_parameters
from pipeline.recipe.recipe_changes import recipe_changes

logger = logging.getLogger(__name__)

_ORIGIN = "origin.json"
_ENGINES = ("tensorflow", "keras")
_MAY_CHANGE = ("runtime.cluster", "runtime.storage")


def save_origin(directory: Path, loaded: LoadedRecipe) -> None:
    """Save the recipe and the versions of a run beside its checkpoints.

    Raises:
        TrackingError: if it cannot be written.
    """
    recipe = run_parameters(loaded.recipe, loaded.secrets)
    _write(directory, {"recipe": recipe, "versions": {name: version(name) for name in _ENGINES}})


def check_same_recipe(directory: Path, loaded: LoadedRecipe) -> None:
    """Check that a run is resumed with the recipe that it was started with.

    Raises:
        UsageError: if the recipe has changed; the message has every changed value.
    """
    origin = _read(directory)
    before, now = origin["recipe"], run_parameters(loaded.recipe, loaded.secrets)
    changes = recipe_changes(before, now, ignored=_MAY_CHANGE)
    if changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise UsageError(
            f"The recipe has changed since run {directory.name} was started:{listed}\n"
            "Undo the changes, or start a new run without --resume."
        )
    for name, earlier in origin["versions"].items():
        if version(name) != earlier:
            logger.warning(
                f"The run was started with {name} {earlier} and resumes with {version(name)}. "
                "Its metrics may differ from those of an uninterrupted run."
            )


def check_same_images(directory: Path, digest: str) -> None:
    """Check that a run is resumed with the images that it was started with.

    Raises:
        DataError: if the images are not the same.
        TrackingError: if their digest cannot be saved.
    """
    origin = _read(directory)
    before = origin.setdefault("data", digest)
    if before != digest:
        raise DataError(
            f"The data has changed since run {directory.name} was started: its digest was "
            f"{before[:12]}, and is {digest[:12]}. Restore it, or start a new run without "
            "--resume."
        )
    _write(directory, origin)


def known_images(directory: Path) -> str:
    """Return the digest of the images that a run is trained on, empty while it is not known.

    Raises:
        UsageError: if it is not readable.
    """
    return str(_read(directory).get("data", ""))


def resume_command(
    loaded: LoadedRecipe,
    run_id: str,
    *,
    command: str = "run",
    seeds: int | None = None,
    workers: int = 1,
) -> str:
    """Return the command line that resumes a run.

    Args:
        loaded: the recipe.
        run_id: of the run.
        command: that started it, `run` or `tune`.
        seeds: the number of seeds, if it has one run for each under it.
        workers: the number of trainings at the same time on a machine.
    """
    changes = [word for change in loaded.overrides for word in ("--set", change)]
    several = ["--seeds", str(seeds)] if seeds else []
    several += ["--workers", str(workers)] if workers > 1 else []
    words = ["pipeline", command, str(loaded.path), *changes, *several, "--resume", run_id]
    return shlex.join(words)


def _read(directory: Path) -> dict[str, Any]:
    try:
        origin: dict[str, Any] = json.loads((directory / _ORIGIN).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Cannot resume run {directory.name}: {directory / _ORIGIN} cannot be read: {error}. "
            "Start a new run without --resume."
        ) from None
    return origin


def _write(directory: Path, origin: dict[str, Any]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        atomic_write(directory / _ORIGIN, json.dumps(origin, indent=1).encode())
    except OSError as error:
        raise TrackingError(
            f"Cannot write to {directory}: {error.strerror or error}. It is for the run's "
            "checkpoints. Free disk space, or start the run in a directory that you may write to."
        ) from None
