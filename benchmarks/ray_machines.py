"""Machines of a Ray cluster that are processes of this one, for benchmarks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

# The ports of the cluster are on loopback, as those that pipeline opens are.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}

import psutil
from ray.cluster_utils import Cluster


@contextlib.contextmanager
def started(count: int, *, cores: int) -> Iterator[tuple[Cluster, list[Any]]]:
    """Start a cluster whose head has no cores, and so many machines with cores."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        yield cluster, [cluster.add_node(num_cpus=cores) for _ in range(count)]
    finally:
        cluster.shutdown()


def kill_machine(machine: Any) -> None:
    """Kill all processes of a machine, as when it loses its power."""
    kill_process(machine.all_processes["raylet"][0].process.pid)


def kill_process(process_id: int) -> None:
    """Kill a process with SIGKILL, and those that it started."""
    process = psutil.Process(process_id)
    for each in (*process.children(recursive=True), process):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
