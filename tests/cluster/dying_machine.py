"""Work on three machines of a Ray cluster, of which one dies and another one joins.

The machines are processes of this one: `ray.cluster_utils.Cluster` starts them.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any

# Like the ports of a cluster that pipeline starts, these are on loopback.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
sys.path.insert(0, str(Path(__file__).parent.parent.parent))
os.environ["PYTHONPATH"] = sys.path[0]

import psutil
from ray.cluster_utils import Cluster

from pipeline.cluster.opening import open_cluster
from tests.cluster.workers import make_guest, make_slow


def kill(node: Any) -> None:
    """Kill the processes of a machine, as when it loses its power."""
    for process in node.all_processes["raylet"]:
        raylet = psutil.Process(process.process.pid)
        for each in (*raylet.children(recursive=True), raylet):
            each.kill()


def main() -> None:
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [machines.add_node(num_cpus=1) for _ in range(3)]
    os.environ["RAY_ADDRESS"] = machines.address
    done: list[int] = []
    processes: set[object] = set()
    killed_at: int | None = None
    with open_cluster("auto") as cluster:
        # Processes may take long to start: there are pieces until each machine had one.
        pieces = itertools.takewhile(lambda _: len(processes) < 4, itertools.count())
        for piece, process in cluster.results(make_slow, pieces):
            done.append(piece)
            processes.add(process)
            if killed_at is None and len(processes) == 3:
                kill(nodes[1])
                killed_at = len(done)
            elif killed_at is not None and len(done) == killed_at + 4:
                machines.add_node(num_cpus=1)
        machines.add_node(num_cpus=4, num_gpus=2)  # which Ray takes our word for
        guests: set[object] = set()
        more = itertools.takewhile(lambda _: len(guests) < 3, itertools.count())
        for _, guest in cluster.results(make_guest, more):
            guests.add(guest)
        assert guests == {("", "1"), ("0", "2"), ("1", "2")}, guests
    machines.shutdown()
    assert sorted(done) == list(range(len(done))), done
    print(f"each piece once, by {len(processes)} processes")


if __name__ == "__main__":
    main()
