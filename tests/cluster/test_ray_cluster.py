"""Work in processes that Ray starts."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from psutil import CONN_LISTEN as LISTEN

from pipeline.cluster.cluster import Cluster, Lost
from pipeline.cluster.opening import open_cluster
from pipeline.cluster.ray_cluster import RayCluster, share
from pipeline.errors import DataError, PipelineError
from tests.cluster import workers


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with open_cluster("local", workers=2) as opened:
        yield opened


@pytest.mark.slow
def test_two_processes_do_pieces(cluster: Cluster) -> None:
    processes: set[object] = set()
    given: list[int] = []

    def pieces() -> Iterator[int]:
        while len(processes) < 2:  # the second one may start later
            given.append(len(given))
            yield given[-1]

    done = []
    for piece, process in cluster.results(workers.make_slow, pieces()):
        done.append(piece)
        processes.add(process)

    assert sorted(done) == given


@pytest.mark.slow
def test_a_worker_has_the_driver_s_directory_and_its_share_of_the_threads(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    (result,) = cluster.results(workers.make_talker, iter(["a piece"]))

    cores = max(psutil.cpu_count() or 1, 2)
    assert result == ("a piece", f"{Path.cwd()} {cores // 2}")
    assert caplog.messages == ["Doing a piece"]


@pytest.mark.slow
def test_a_piece_waits_for_those_in_progress(cluster: Cluster) -> None:
    taken: list[object] = []

    def pieces() -> Iterator[object]:
        yield 1
        while not taken:
            yield "wait"
        yield 2

    for piece, _ in cluster.results(workers.make_counter, pieces()):  # type: ignore[arg-type]
        taken.append(piece)

    assert taken == [1, 2]


@pytest.mark.slow
def test_the_piece_of_a_process_that_died_is_done_again(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make = functools.partial(workers.make_mortal, tmp_path, 1)

    results = dict(cluster.results(make, iter(range(4)), retries=1))

    assert results == {0: 0, 1: 1, 2: 2, 3: 3}
    assert caplog.messages == [
        "A process on 127.0.0.1 died. Perhaps the machine's memory ran out. Its work is done again."
    ]


@pytest.mark.slow
def test_a_piece_whose_process_dies_too_often_is_lost(cluster: Cluster, tmp_path: Path) -> None:
    make = functools.partial(workers.make_mortal, tmp_path, 1)

    results = dict(cluster.results(make, iter(range(4))))

    reason = "A process on 127.0.0.1 died. Perhaps the machine's memory ran out."
    assert results == {0: 0, 1: 1, 2: Lost(reason, memory=False), 3: 3}


@pytest.mark.slow
def test_an_error_of_a_worker_is_raised_as_it_is(cluster: Cluster) -> None:
    with pytest.raises(DataError) as caught:
        list(cluster.results(workers.make_picky, iter([0, 1, 2])))

    assert str(caught.value) == "Piece 1 is broken. Mend it."


@pytest.mark.slow
def test_work_needs_a_fit_machine(cluster: Cluster) -> None:
    with pytest.raises(PipelineError) as caught:
        list(cluster.results(workers.make_unfit, iter([0])))

    assert str(caught.value) == (
        "No machine of the cluster is fit for the work. It has no images. Copy them."
    )


@pytest.mark.slow
def test_every_port_is_on_loopback(cluster: Cluster) -> None:
    driver = psutil.Process()
    processes = [driver, *driver.children(recursive=True)]
    listening = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            connections = process.net_connections("inet")
            listening += [each.laddr.ip for each in connections if each.status == LISTEN]

    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} <= {"127.0.0.1", "::1"}


@pytest.mark.slow
def test_the_work_of_a_machine_that_dies_goes_to_the_others_and_to_one_that_joins() -> None:
    script = Path(__file__).with_name("dying_machine.py")

    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.stdout.splitlines()[-1] == "each piece once, by 4 processes", done.stderr


@pytest.mark.parametrize(
    ("amount", "workers_", "expected"),
    [(8, 2, 4.0), (7, 2, 3.0), (1, 2, 0.5), (2, 3, 0.5), (0, 2, 0.0), (1, 1, 1.0)],
)
def test_workers_share_a_machine(amount: float, workers_: int, expected: float) -> None:
    assert share(amount, workers_) == expected


def test_the_processes_of_a_cluster_are_those_of_the_machines_that_live_and_have_cores() -> None:
    ray = ModuleType("ray")
    ray.nodes = lambda: [  # type: ignore[attr-defined]
        {"NodeID": "head", "Alive": True, "Resources": {}},
        {"NodeID": "cores", "Alive": True, "Resources": {"CPU": 8.0}},
        {"NodeID": "GPUs", "Alive": True, "Resources": {"CPU": 8.0, "GPU": 4.0}},
        {"NodeID": "gone", "Alive": False, "Resources": {"CPU": 8.0}},
    ]
    assert RayCluster(ray, workers=2).at_once == 2 + 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("local", "Ray cannot be started on this machine: no network."),
        (
            "auto",
            "runtime.cluster: this machine belongs to no running Ray cluster. Start one with: ray "
            "start --head --node-ip-address 127.0.0.1",
        ),
        (
            "ray://10.0.0.1:10001",
            "runtime.cluster: the Ray cluster at ray://10.0.0.1:10001 does not answer: no network. "
            "Start it first, or name another address. If it asks for a token, set RAY_AUTH_TOKEN.",
        ),
    ],
)
def test_a_cluster_that_does_not_answer_is_an_error(address: str, expected: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import ray\n"
            "from pipeline.cluster.opening import open_cluster\n"
            "def init(address, **settings):\n    raise ConnectionError('no network.')\n"
            "ray.init = init\n"
            f"try:\n    open_cluster({address!r}, workers=2).__enter__()\n"
            "except Exception as error:\n    print(f'{type(error).__name__}: {error}')",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == f"PipelineError: {expected}\n"
