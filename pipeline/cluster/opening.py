"""Opens what does the work: this process, or the processes of one or more machines."""

from __future__ import annotations

import contextlib

from pipeline.cluster.cluster import Cluster
from pipeline.cluster.local_cluster import LocalCluster
from pipeline.cluster.ray_connection import ray_cluster


def open_cluster(address: str, *, workers: int = 1) -> contextlib.AbstractContextManager[Cluster]:
    """Open what does the work.

    Args:
        address: `local` for this machine, `auto` for the Ray cluster that this machine belongs to,
            or the address of one, `ray://HOST:PORT`.
        workers: the number of processes on each machine, which share its cores and GPUs; a machine
            of a cluster with more GPUs has one for each. `local` and 1 is this process.

    Raises:
        PipelineError: if Ray is not installed, or does not answer.
    """
    if address == "local" and workers == 1:
        return contextlib.nullcontext(LocalCluster())
    return ray_cluster(address, workers=workers)
