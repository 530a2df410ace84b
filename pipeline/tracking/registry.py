"""Registered models: their versions, the alias of the champion, and its comparisons.

A comparison of a version with a champion is a tag of the registered model, so that it is counted
however often and wherever models are compared.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from pipeline.errors import TrackingError, UsageError
from pipeline.tracking.lookup import find_model
from pipeline.tracking.store import Store, store_lock, translate_errors
from pipeline.tracking.stored_model import StoredModel

CHAMPION = "champion"

_COMPARISON = "comparison"


@dataclass(frozen=True)
class Champion:
    """The champion of a registered model.

    Attributes:
        name: of the registered model.
        version: its number.
        model: its files.
    """

    name: str
    version: str
    model: StoredModel


@dataclass(frozen=True)
class ComparisonCounts:
    """How many comparisons there were.

    Attributes:
        images: on the same images, with any champion.
        champion: with the same champion, on any images.
    """

    images: int
    champion: int

    @property
    def largest(self) -> int:
        """The larger of the two."""
        return max(self.images, self.champion)


def register(store: Store, model: StoredModel, name: str) -> str:
    """Register a logged model as the next version of `name`, and return the version.

    Raises:
        TrackingError: if the store does not take it.
    """
    with contextlib.suppress(Exception):  # it exists already; otherwise the next call fails
        store.client.create_registered_model(name)
    with translate_errors(f"Cannot register the model as {name} in {store.uri}"):
        version = store.client.create_model_version(
            name, model.location, model.run_id, model_id=model.model_id
        )
    return str(version.version)


def champion(store: Store, name: str) -> Champion | None:
    """Return the champion of a registered model, None if there is none yet.

    Raises:
        TrackingError: if the store cannot be read, or the champion's run was deleted.
    """
    version = _champion_version(store, name)
    if version is None:
        return None
    try:
        return Champion(name, version, find_model(store, f"models:/{name}/{version}"))
    except UsageError as error:
        raise TrackingError(
            f"Cannot find the champion of {name}, version {version}: {error} To let the next model "
            f"take its place without a comparison, delete the alias `{CHAMPION}` of {name} in the "
            "MLflow UI."
        ) from None


def promote(store: Store, name: str, version: str, *, instead_of: Champion | None) -> bool:
    """Make a version the champion, unless there is another champion than expected by now.

    In the local store, only one process at a time does that. Elsewhere the champion is read again
    afterwards.

    Args:
        store: contains the registered model.
        name: of the registered model.
        version: the new champion.
        instead_of: the champion that it was compared with, None if there was none.

    Returns:
        Whether it is the champion now.

    Raises:
        TrackingError: if the store does not take it.
    """
    expected = instead_of.version if instead_of else None
    with store_lock(store.artifacts):
        if _champion_version(store, name) != expected:
            return False
        with translate_errors(f"Cannot promote version {version} of {name} in {store.uri}"):
            store.client.set_registered_model_alias(name, CHAMPION, version)
        return _champion_version(store, name) == version


def count_comparisons(store: Store, champion: Champion, images: str) -> ComparisonCounts:
    """Return how many comparisons there were with a champion, and on the same images.

    Args:
        store: contains the registered model.
        champion: the champion.
        images: the digest of the images.

    Raises:
        TrackingError: if the store cannot be read.
    """
    tags = _registered_model(store, champion.name).tags
    digests = {key: value for key, value in tags.items() if key.startswith(f"{_COMPARISON}/")}
    return ComparisonCounts(
        images=list(digests.values()).count(images),
        champion=sum(key.endswith(f"/{champion.version}") for key in digests),
    )


def record_comparison(store: Store, version: str, champion: Champion, images: str) -> None:
    """Record that a version is compared with the champion.

    Args:
        store: contains the registered model.
        version: the version that may become champion.
        champion: the champion.
        images: the digest of the images that they are compared on.

    Raises:
        TrackingError: if the store does not take it.
    """
    key = f"{_COMPARISON}/{version}/{champion.version}"
    with translate_errors(f"Cannot record a comparison with {champion.model.uri} in {store.uri}"):
        store.client.set_registered_model_tag(champion.name, key, images)


def _champion_version(store: Store, name: str) -> str | None:
    version = _registered_model(store, name).aliases.get(CHAMPION)
    return None if version is None else str(version)


def _registered_model(store: Store, name: str) -> Any:
    with translate_errors(f"Cannot read the registered model {name} in {store.uri}"):
        return store.client.get_registered_model(name)
