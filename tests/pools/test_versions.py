from typing import Any

import pytest

from nbflow.pools import versions
from nbflow.pools.cluster import Cluster, NoCluster

HERE = {
    "python": "3.11.7.final.0",
    "nbflow": "0.1.0",
    "dask": "2026.8.0",
    "pandas": "3.1.1",
    "pyarrow": "26.0.1",
}


def found(*workers: dict[str, Any]) -> dict[str, Any]:
    at = {f"tcp://w:{n}": {"packages": HERE | packages} for n, packages in enumerate(workers)}
    return {"client": {"packages": HERE}, "workers": at}


def test_what_is_the_same_is_not_worth_a_word() -> None:
    assert versions.differences(found({}, {"python": "3.11.9.final.0", "lz4": "1"})) == ""


def test_what_differs_is_said_in_words() -> None:
    text = versions.differences(found({"pandas": "2.2.0"}, {"pandas": "2.2.0", "python": "3.12.1.final.0"}))
    assert text.startswith(
        "the Dask workers have other versions: python 3.11 here, 3.12 on 1 of the workers; "
        "pandas 3.1.1 here, 2.2.0 on 2 of the workers. Functions and results are pickled"
    )


def test_it_is_said_once_for_each_client(dask_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "of", lambda client: found({"pandas": "2.2.0"}))
    said: list[str] = []
    cluster = Cluster(None, said.append)
    assert [cluster.client(), cluster.client()] == [dask_client, dask_client]
    assert len(said) == 1


@pytest.mark.usefixtures("dask_client")
def test_workers_without_nbflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "of", lambda client: found({"nbflow": None}, {}))
    with pytest.raises(
        NoCluster, match=r"not installed on the Dask workers tcp://w:0: install it .*==0\.1\.0"
    ):
        Cluster().client()


def test_what_dask_reports(dask_client: Any) -> None:
    reported = versions.of(dask_client)
    assert (versions.lacking(reported), versions.differences(reported)) == ([], "")
    assert len(reported["workers"]) == 2
    assert set(versions.PACKAGES) <= set(reported["client"]["packages"])
