import threading
from typing import Any

import dask
import distributed
import pytest

from nbflow.pools.cluster import Cluster, NoCluster


@pytest.fixture
def alone(dask_client: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """No client is active; the address of a scheduler that could be asked for."""
    monkeypatch.setattr("distributed.client._get_global_client", lambda: None)
    address: str = dask_client.scheduler.address
    return address


@pytest.fixture
def said() -> list[str]:
    return []


def test_the_active_client_comes_first(dask_client: Any, said: list[str]) -> None:
    cluster = Cluster("tcp://127.0.0.1:1", said.append)
    assert cluster.client() is dask_client
    cluster.close()
    assert (dask_client.status, said) == ("running", [])


def test_the_scheduler_that_was_asked_for(alone: str, dask_client: Any, said: list[str]) -> None:
    cluster = Cluster(alone, said.append)
    client = cluster.client()
    assert client is cluster.client()
    assert client.scheduler.address == alone
    cluster.close()
    assert (client.status, dask_client.status, said) == ("closed", "running", [])
    assert dask_client.submit(len, "abc").result(10) == 3, "the scheduler lives on"


def test_another_client_if_the_own_one_was_closed(alone: str) -> None:
    cluster = Cluster(alone)
    first = cluster.client()
    first.close()
    second = cluster.client()
    assert second is not first
    assert second.status == "running"
    cluster.close()


def test_close_can_be_called_at_any_time(alone: str) -> None:
    cluster = Cluster(alone)
    cluster.close()
    assert cluster.client().status == "running"
    cluster.close()
    cluster.close()


def test_an_own_cluster_is_not_made_active(
    dask_client: Any, alone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(alone)
    cluster.client()
    monkeypatch.undo()
    assert distributed.client.default_client() is dask_client
    cluster.close()


class Asynchronous:
    status = "running"
    asynchronous = True


def test_an_asynchronous_client_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distributed.client._get_global_client", Asynchronous)
    with pytest.raises(NoCluster, match="make one with asynchronous=False"):
        Cluster().client()


def test_a_scheduler_that_does_not_answer(alone: str) -> None:
    before = threading.active_count()
    cluster = Cluster("tcp://127.0.0.1:1")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(
            NoCluster, match=r"no Dask cluster .*127\.0\.0\.1:1.* Start a scheduler .* leave out dask="
        ),
    ):
        cluster.client()
    cluster.close()
    assert threading.active_count() <= before + 1  # Dask may keep a thread of its own


@pytest.mark.usefixtures("alone")
def test_a_local_cluster_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    def fail(**_: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(distributed, "LocalCluster", fail)
    with pytest.raises(NoCluster, match="no Dask cluster could be used: no more processes"):
        Cluster(None, said.append).client()
    assert len(said) == 1


class Local:
    """As a LocalCluster that has written one of its workers off."""

    def __init__(self, **_: object) -> None:
        self.worker_spec = {0: "worker", 1: "worker"}
        self.workers = {0: "worker"}
        self.scaled: list[int] = []

    def scale(self, count: int) -> None:
        self.scaled.append(count)
        self.workers = dict(self.worker_spec)

    def close(self) -> None:
        pass


class Client:
    def __init__(self, cluster: Local, **_: object) -> None:
        self.cluster = cluster
        self.status = "running"

    def close(self) -> None:
        pass


@pytest.mark.usefixtures("alone")
def test_workers_that_dask_has_written_off_are_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "LocalCluster", Local)
    monkeypatch.setattr(distributed, "Client", Client)
    cluster = Cluster()
    cluster.keep_up()  # there is nothing to do yet
    local = cluster.client().cluster
    cluster.keep_up()
    cluster.keep_up()
    assert local.scaled == [2]
    cluster.close()
