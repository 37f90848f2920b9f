"""What tests of several rooms share."""

from collections.abc import Iterator
from typing import Any

import pytest

import nbflow as nf
from tests.postgres import Server, missing


@pytest.fixture(scope="session")
def dask_client() -> Iterator[Any]:
    """A client of one small cluster for the whole session, active (so that nbflow uses it)."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL for the whole session, started by the first test that asks for it."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_connection_is_left() -> Iterator[None]:
    yield
    nf.disconnect()
