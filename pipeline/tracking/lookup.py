"""The runs and models of a store, found by what a person calls them."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mlflow.artifacts

from pipeline.errors import UsageError
from pipeline.suggestions import did_you_mean
from pipeline.tracking.store import Store, error_summary

EXPECTED = "Expected a run's id or name, models:/NAME@ALIAS, models:/NAME/VERSION, or latest."

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_LOGGED = re.compile(r"models:/m-[0-9a-f]+")
_PAGE = 100


@dataclass(frozen=True)
class StoredModel:
    """A model in a store.

    Attributes:
        uri: its address, as MLflow's loaders take it.
        run_id: the run that logged it.
        run_name: what that run is called.
        experiment_id: the experiment of the run.
        location: where its files are.
    """

    uri: str
    run_id: str
    run_name: str
    experiment_id: str
    location: str


def find_run(store: Store, called: str) -> Any:
    """Return a run of a store.

    Args:
        store: where to look.
        called: its id; its name, of which the newest run is meant; `latest` for the newest of all;
            or the address of a model that it logged.

    Raises:
        UsageError: if there is no such run.
    """
    if called.startswith("models:/"):
        return _run(store, _model_at(store, called).run_id, called)
    if called.startswith("runs:/"):
        called = called.removeprefix("runs:/").partition("/")[0]
    if _RUN_ID.fullmatch(called):
        return _run(store, called, called)
    runs = _newest(store, "" if called == "latest" else _named(called), count=1)
    if not runs:
        raise UsageError(_no_such_run(store, called))
    return runs[0]


def find_model(store: Store, called: str) -> StoredModel:
    """Return the model of a run, called as `find_run` takes it.

    `latest` and a name mean the newest run that has a model, so that a run that failed, or the
    parent of several, does not stand in the way.

    Raises:
        UsageError: if there is no such run, or none with a model.
    """
    if called.startswith("models:/"):
        return _model_at(store, called)
    if called == "latest" or not (called.startswith("runs:/") or _RUN_ID.fullmatch(called)):
        runs = _newest(store, "" if called == "latest" else _named(called), count=_PAGE)
    else:
        runs = [find_run(store, called)]
    if not runs:
        raise UsageError(_no_such_run(store, called))
    for run in runs:
        outputs = run.outputs.model_outputs if run.outputs else []
        if outputs:
            return _model_at(store, f"models:/{outputs[-1].model_id}")
    run = runs[0]
    reason = run.data.tags.get("reason")
    raise UsageError(
        f"The run {run.info.run_name} ({run.info.run_id}) has no model. It is {run.info.status}"
        f"{f': {reason}' if reason else '.'}"
    )


@contextlib.contextmanager
def files_of(store: Store, model: StoredModel) -> Iterator[Path]:
    """Give the folder of a model's files, fetched for as long as they are needed where need be.

    Raises:
        UsageError: if they cannot be had.
    """
    address = urlsplit(model.location)
    if address.scheme in ("", "file"):
        folder = Path(unquote(address.path))
        if not folder.is_dir():
            raise UsageError(f"The files of {model.uri} are gone: there is no folder {folder}.")
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="pipeline-model-") as fetched:
        try:
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=model.location, dst_path=fetched, tracking_uri=store.address
            )
        except Exception as error:  # the network, the server or the disk
            raise UsageError(
                f"The files of {model.uri} are not available at {model.location}: "
                f"{error_summary(error)}"
            ) from None
        yield Path(path)


@contextlib.contextmanager
def recipe_of(store: Store, model: StoredModel) -> Iterator[Path]:
    """Give the file of the resolved recipe that a model was made from.

    Raises:
        UsageError: if it cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="pipeline-recipe-") as folder:
        try:
            path = store.client.download_artifacts(model.run_id, "resolved.yaml", folder)
        except Exception as error:
            raise UsageError(
                f"The run {model.run_name} ({model.run_id}) has no recipe: {error_summary(error)}"
            ) from None
        yield Path(path)


@contextlib.contextmanager
def artifacts_of(store: Store, run: Any, folder: str) -> Iterator[list[Path]]:
    """Give the files in a folder of a run's artifacts, none where there is no such folder.

    Raises:
        UsageError: if they cannot be had.
    """
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory(prefix="pipeline-artifacts-") as fetched:
        try:
            names = [item.path for item in store.client.list_artifacts(run_id, folder)]
            paths = [store.client.download_artifacts(run_id, name, fetched) for name in names]
        except Exception as error:  # the network, the server or the disk
            raise UsageError(
                f"The {folder} of the run {run.info.run_name} ({run_id}) cannot be had: "
                f"{error_summary(error)}"
            ) from None
        yield [Path(path) for path in paths]


def _run(store: Store, run_id: str, called: str) -> Any:
    try:
        run = store.client.get_run(run_id)
    except Exception:
        raise UsageError(_no_such_run(store, called)) from None
    if run.info.lifecycle_stage != "active":
        raise UsageError(f"The run {run.info.run_name} ({run_id}) was deleted in {store.uri}.")
    return run


def _model_at(store: Store, uri: str) -> StoredModel:
    """Return the model at a `models:/` address."""
    registered, logged = _REGISTERED.fullmatch(uri), _LOGGED.fullmatch(uri)
    if not registered and not logged:
        raise UsageError(f"{uri} names no model. {EXPECTED}")
    try:
        if registered:
            uri, run_id, location = _version(store.client, **registered.groupdict())
        else:
            model = store.client.get_logged_model(uri.removeprefix("models:/"))
            run_id, location = model.source_run_id, model.artifact_location
    except Exception as error:  # MLflow has no error of its own for what is not there
        raise UsageError(
            f"There is no model {uri} in {store.uri}: {error_summary(error)}"
        ) from None
    run = _run(store, run_id, uri)
    return StoredModel(uri, run_id, run.info.run_name, run.info.experiment_id, location)


def _version(
    client: Any, *, name: str, alias: str | None, version: str | None
) -> tuple[str, str, str]:
    """Return the address of a registered model's version, its run and where its files are."""
    found = (
        client.get_model_version_by_alias(name, alias)
        if alias
        else client.get_model_version(name, version)
    )
    location = client.get_model_version_download_uri(name, found.version)
    return f"models:/{name}/{found.version}", found.run_id, location


def _named(name: str) -> str:
    quoted = name.replace("'", "''")
    return f"attributes.run_name = '{quoted}'"


def _newest(store: Store, condition: str, *, count: int) -> list[Any]:
    """Return the newest runs of all experiments that a condition holds for, the newest first."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    return list(
        store.client.search_runs(
            experiments,
            filter_string=condition,
            order_by=["attributes.start_time DESC"],
            max_results=count,
        )
    )


def _no_such_run(store: Store, called: str) -> str:
    names = list(dict.fromkeys(run.info.run_name for run in _newest(store, "", count=_PAGE)))
    if not names:
        return f"There is no run in {store.uri} yet. Start one with: pipeline run RECIPE"
    hint = did_you_mean(called, names) or f" The newest are called: {', '.join(names[:5])}."
    return f"There is no run {called} in {store.uri}. {EXPECTED}{hint}"
