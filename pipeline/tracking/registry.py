"""Registered models: their versions, and the alias of the champion."""

from __future__ import annotations

import contextlib
from typing import Any

from pipeline.errors import UsageError
from pipeline.tracking.lookup import StoredModel, find_model
from pipeline.tracking.store import Store, translate_errors

CHAMPION = "champion"


def register(store: Store, model: StoredModel, name: str) -> str:
    """Register a logged model as the next version of `name`, and return the version.

    Raises:
        TrackingError: if the store does not take it.
    """
    with contextlib.suppress(Exception):  # it exists already; otherwise the next call fails
        store.client.create_registered_model(name)
    with translate_errors(f"Cannot register the model as {name} in {store.uri}"):
        version = store.client.create_model_version(name, model.location, model.run_id)
    return str(version.version)


def champion(store: Store, name: str) -> StoredModel | None:
    """Return the champion of a registered model, None if there is none yet."""
    aliases: dict[str, Any] = store.client.get_registered_model(name).aliases
    if CHAMPION not in aliases:
        return None
    with contextlib.suppress(UsageError):  # its run was deleted
        return find_model(store, f"models:/{name}@{CHAMPION}")
    return None


def promote(store: Store, name: str, version: str) -> None:
    """Make a version the champion.

    Raises:
        TrackingError: if the store does not take it.
    """
    with translate_errors(f"Cannot promote version {version} of {name} in {store.uri}"):
        store.client.set_registered_model_alias(name, CHAMPION, version)
