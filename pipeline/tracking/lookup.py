"""Finds runs and models in a store by id, name or URI."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import mlflow.artifacts

from pipeline.errors import PipelineError, UsageError
from pipeline.suggestions import did_you_mean
from pipeline.tracking import lookup_cache
from pipeline.tracking.paging import experiment_ids, iterate_pages
from pipeline.tracking.store import Store, newest_runs, translate_errors
from pipeline.tracking.stored_model import StoredModel
from pipeline.tracking.trial_runs import FOLD

LATEST = "latest"
EXPECTED = "Expected a run's id or name, models:/NAME@ALIAS, models:/NAME/VERSION, or latest."

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_REGISTERED = re.compile(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))")
_LOGGED = re.compile(r"models:/m-[0-9a-f]+")
_CHECKED = 10  # newest runs that are looked at one by one
_SUGGESTED = 100  # runs whose names are suggested
_NO_FOLD = f"tags.{FOLD} IS NULL"  # folds have no model, and are newer than the run they are under


def find_run(store: Store, reference: str) -> Any:
    """Return a run of a store.

    Args:
        store: the tracking store.
        reference: its id; its name, for the newest run of that name; `latest` for the newest of
            all; or the URI of a model that it logged.

    Raises:
        UsageError: if there is no such run.
    """
    if reference.startswith("models:/"):
        return _run(store, _model_at(store, reference).run_id, reference)
    return next(_candidates(store, reference))


def find_model(store: Store, reference: str) -> StoredModel:
    """Return the model of a run, and remember it for `lookup_cache.recall`.

    Args:
        store: the tracking store.
        reference: as for `find_run`. A name and `latest` mean the newest run that has a model, and
            so skip failed runs and the parents of several runs. Where many runs lack one, `latest`
            is the model that was logged last.

    Raises:
        UsageError: if there is no such run, or none with a model.
    """
    if reference.startswith("models:/"):
        return _model_at(store, reference)
    state = lookup_cache.state_of(store.address)
    model = _model_of_run(store, reference)
    lookup_cache.remember(store.address, reference, model, state)
    return model


def remember_model(store: Store, run_id: str, run_name: str) -> None:
    """Let `lookup_cache` know the model of a run that has ended."""
    state = lookup_cache.state_of(store.address)
    if state is None:
        return
    newest = next(newest_runs(store, _NO_FOLD, first_page=1), None)
    is_newest = newest is not None and newest.info.run_id == run_id
    with contextlib.suppress(PipelineError):
        model = find_model(store, run_id)
        for reference in (run_name, LATEST):
            if is_newest:  # both mean it
                lookup_cache.remember(store.address, reference, model, state)
            else:
                find_model(store, reference)


def _model_of_run(store: Store, reference: str) -> StoredModel:
    runs = _candidates(store, reference)
    newest = [next(runs), *islice(runs, _CHECKED - 1)]
    model = _first_model(store, newest)
    if model is None and reference == LATEST:
        model = _last_logged(store)  # there may be thousands of runs without a model
    if model is None:
        model = _first_model(store, runs)
    if model is not None:
        return model
    run = newest[0]
    reason = run.data.tags.get("reason")
    raise UsageError(
        f"The run {run.info.run_name} ({run.info.run_id}) has no model. It is {run.info.status}"
        f"{f': {reason}' if reason else '.'}"
    )


@contextlib.contextmanager
def files_of(store: Store, model: StoredModel) -> Iterator[Path]:
    """Yield the directory of a model's files, which are downloaded for the block if necessary.

    Raises:
        UsageError: if they are not available.
    """
    directory = model.directory
    if directory:
        if not directory.is_dir():
            raise UsageError(f"The files of {model.uri} are missing: {directory} does not exist.")
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="pipeline-model-") as fetched:
        failure = f"The files of {model.uri} are not available at {model.location}"
        with translate_errors(failure, UsageError):
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=model.location, dst_path=fetched, tracking_uri=store.address
            )
        yield Path(path)


@contextlib.contextmanager
def recipe_of(store: Store, model: StoredModel) -> Iterator[Path]:
    """Yield the file of the resolved recipe of a model.

    Raises:
        UsageError: if it is not available.
    """
    with tempfile.TemporaryDirectory(prefix="pipeline-recipe-") as fetched:
        failure = f"The run {model.run_name} ({model.run_id}) has no recipe"
        with translate_errors(failure, UsageError):
            path = store.client.download_artifacts(model.run_id, "resolved.yaml", fetched)
        yield Path(path)


@contextlib.contextmanager
def artifacts_of(store: Store, run: Any, directory: str) -> Iterator[list[Path]]:
    """Yield the files in a directory of a run's artifacts, none if there is no such directory.

    Raises:
        UsageError: if they are not available.
    """
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory(prefix="pipeline-artifacts-") as fetched:
        failure = f"The {directory} of the run {run.info.run_name} ({run_id}) are not available"
        with translate_errors(failure, UsageError):
            names = [item.path for item in store.client.list_artifacts(run_id, directory)]
            paths = [store.client.download_artifacts(run_id, name, fetched) for name in names]
        yield [Path(path) for path in paths]


def _candidates(store: Store, reference: str) -> Iterator[Any]:
    """Yield the runs that an id, a name or `latest` may mean, at least one, the newest first."""
    if reference.startswith("runs:/"):
        reference = reference.removeprefix("runs:/").partition("/")[0]
    if _RUN_ID.fullmatch(reference):
        yield _run(store, reference, reference)
        return
    quoted = reference.replace("'", "''")
    condition = _NO_FOLD if reference == LATEST else f"attributes.run_name = '{quoted}'"
    runs = newest_runs(store, condition, first_page=_CHECKED)
    first = next(runs, None)
    if first is None:
        raise UsageError(_no_such_run(store, reference))
    yield first
    yield from runs


def _first_model(store: Store, runs: Iterable[Any]) -> StoredModel | None:
    """Return the model of the first run that has one."""
    for run in runs:
        outputs = run.outputs.model_outputs if run.outputs else []
        if outputs:
            return _model_at(store, f"models:/{outputs[-1].model_id}")
    return None


def _last_logged(store: Store) -> StoredModel | None:
    """Return the model that a run logged last, None if there is none."""
    experiments = experiment_ids(store.client)
    models = iterate_pages(
        lambda token: store.client.search_logged_models(
            experiments,
            max_results=_CHECKED,
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
            page_token=token,
        )
    )
    for model in models:
        with contextlib.suppress(UsageError):  # its run was deleted
            return _model_at(store, f"models:/{model.model_id}")
    return None


def _run(store: Store, run_id: str, reference: str) -> Any:
    try:
        run = store.client.get_run(run_id)
    except Exception:
        raise UsageError(_no_such_run(store, reference)) from None
    if run.info.lifecycle_stage != "active":
        raise UsageError(f"The run {run.info.run_name} ({run_id}) was deleted in {store.uri}.")
    return run


def _model_at(store: Store, uri: str) -> StoredModel:
    """Return the model with a `models:/` URI."""
    registered, logged = _REGISTERED.fullmatch(uri), _LOGGED.fullmatch(uri)
    if not registered and not logged:
        raise UsageError(f"{uri} is not the URI of a model. {EXPECTED}")
    client = store.client
    with translate_errors(f"There is no model {uri} in {store.uri}", UsageError):
        if registered:
            name, alias, version = registered.groups()
            if alias:
                version = client.get_model_version_by_alias(name, alias).version
            uri = f"models:/{name}/{version}"
            registered_version = client.get_model_version(name, version)
            run_id, model_id = registered_version.run_id, registered_version.model_id
            location = client.get_model_version_download_uri(name, version)
        else:
            model = client.get_logged_model(uri.removeprefix("models:/"))
            run_id, location = model.source_run_id, model.artifact_location
            model_id = model.model_id
    run = _run(store, run_id, uri)
    info = run.info
    return StoredModel(uri, run_id, info.run_name, info.experiment_id, location, model_id or None)


def _no_such_run(store: Store, reference: str) -> str:
    runs = islice(newest_runs(store, _NO_FOLD), _SUGGESTED)
    names = list(dict.fromkeys(run.info.run_name for run in runs))
    if not names:
        return f"There is no run in {store.uri} yet. Start one with: pipeline run RECIPE"
    hint = did_you_mean(reference, names) or f" The newest runs are {', '.join(names[:5])}."
    return f"There is no run {reference} in {store.uri}. {EXPECTED}{hint}"
