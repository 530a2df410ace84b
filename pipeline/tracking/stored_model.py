"""A model in a store. This module imports no MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

DATA = "data"  # the directory of a model's own files in its MLflow files


@dataclass(frozen=True)
class StoredModel:
    """A model in a store.

    Attributes:
        uri: its URI, as MLflow's loaders take it.
        run_id: the run that logged it.
        run_name: the name of that run.
        experiment_id: the experiment of that run.
        location: the URI of its files.
        model_id: the id of the logged model, None for one that a store keeps without.
    """

    uri: str
    run_id: str
    run_name: str
    experiment_id: str
    location: str
    model_id: str | None

    @property
    def directory(self) -> Path | None:
        """The directory of its files if they are on this machine, whether it exists or not."""
        address = urlsplit(self.location)
        return Path(unquote(address.path)) if address.scheme in ("", "file") else None
