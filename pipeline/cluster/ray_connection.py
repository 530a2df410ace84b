"""Connects to a Ray cluster, or starts Ray on this machine for as long as it is used."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.cluster.ray_cluster import RayCluster
from pipeline.errors import PipelineError, first_line
from pipeline.processor import usable_threads

_OBJECT_STORE_BYTES = 256 * 2**20  # the results of workers are small


@contextlib.contextmanager
def ray_cluster(address: str, *, workers: int) -> Iterator[RayCluster]:
    """Connect to a Ray cluster, with the arguments and errors of `open_cluster`."""
    ray = _import_ray(address)
    if ray.is_initialized():  # by whoever calls this
        yield RayCluster(ray, workers)
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings(action="ignore"):  # the error says more
            ray.init(**_settings(address, workers))
    except Exception as error:
        raise PipelineError(_connection_error(address, error)) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's would end the process at once
    try:
        yield RayCluster(ray, workers)
    finally:
        ray.shutdown()


def _import_ray(address: str) -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    # What Ray will do by default: a worker without a GPU sees none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address == "local":  # its ports are on loopback, as they are by default elsewhere than Linux
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if address.startswith("ray://") and _has_token():  # elsewhere Ray looks for it by itself
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        ray = import_module("ray")
    except ImportError:
        raise PipelineError(
            "Work in several processes or on several machines needs Ray, which is not installed. "
            "Install it with: pip install 'pipeline[ray]'"
        ) from None
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters is logged here
    return ray


def _has_token() -> bool:
    """Return whether there is a token to identify oneself to a cluster with, where Ray looks."""
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or Path.home().joinpath(".ray", "auth_token").is_file()


def _settings(address: str, workers: int) -> dict[str, Any]:
    """Return the arguments of `ray.init`."""
    quiet = {"log_to_driver": False, "configure_logging": False}
    if address != "local":
        return {"address": address, **quiet}
    return {
        "address": "local",
        "num_cpus": max(usable_threads(), workers),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
        **quiet,
    }


def _connection_error(address: str, error: Exception) -> str:
    reason = first_line(error).rstrip(":. ")
    if address == "local":
        return f"Ray cannot be started on this machine: {reason}."
    if address == "auto":
        return (
            "runtime.cluster: this machine belongs to no running Ray cluster. Start one with: "
            "ray start --head --node-ip-address 127.0.0.1"
        )
    return (
        f"runtime.cluster: the Ray cluster at {address} does not answer: {reason}. "
        "Start it first, or name another address. If it asks for a token, set RAY_AUTH_TOKEN."
    )
