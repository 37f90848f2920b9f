"""How much of a Dask cluster there is for a task."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from nbflow.errors import NbflowError
from nbflow.pools.cluster import ask

Resources: TypeAlias = tuple[tuple[str, float], ...]


class NoResource(NbflowError):
    """No worker has what the task needs, and none will."""


class Widths:
    """The cluster of a client, as it is at this moment. Asking raises OSError if the scheduler does not answer."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._threads: int = sum(ask(client, "ncores").values())
        self._workers: list[Mapping[str, Any]] | None = None

    def of(self, resources: Resources) -> int:
        """How many attempts it can do at once that need these resources."""
        if not resources:
            return self._threads
        if self._workers is None:  # this may be much text, and is asked for only where it is needed
            self._workers = list(ask(self._client, "identity", n_workers=-1)["workers"].values())
        return suitable(self._workers, resources)


def suitable(workers: Iterable[Mapping[str, Any]], resources: Resources) -> int:
    """How many attempts these workers (as Dask describes them) can do at once: each as many as it has threads and
    amounts for."""
    return sum(
        min(
            worker["nthreads"],
            *(int(worker["resources"].get(name, 0) / amount) for name, amount in resources),
        )
        for worker in workers
    )


def may_grow(client: Any) -> bool:
    """Whether the cluster may be adaptive. Of one that is known by its address only, nobody can tell."""
    return client.cluster is None or getattr(client.cluster, "_adaptive", None) is not None


def missing(name: str, resources: Resources) -> str:
    """For people: that no worker has what the task of this name needs."""
    needed = " ".join(f"{resource}={amount:g}" for resource, amount in resources)
    return (
        f"the task {name} needs {needed} (resources=), and no Dask worker has that; one that has it is started with: "
        f"dask worker SCHEDULER --resources '{needed}'"
    )
