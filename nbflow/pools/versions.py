"""Whether a cluster's workers can do what is pickled here: asked once for each client, and said in words."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

PACKAGES: Final = ("python", "nbflow", "dask", "distributed", "cloudpickle", "pandas", "pyarrow")


def of(client: Any) -> Mapping[str, Any]:
    """The versions here and at the workers, as Dask reports them."""
    found: Mapping[str, Any] = client.get_versions(packages=["nbflow", "pyarrow"])
    return found


def lacking(found: Mapping[str, Any]) -> list[str]:
    """The addresses of the workers where nbflow is not installed."""
    return sorted(address for address, at in _workers(found).items() if at.get("nbflow") is None)


def differences(found: Mapping[str, Any]) -> str:
    """A sentence about what differs and why it matters; "" if nothing does. Python's is 3.11, say."""
    here, parts = found["client"]["packages"], []
    for package in PACKAGES:
        others = defaultdict[str, int](int)
        for at in _workers(found).values():
            if (version := _version(package, at)) not in ("", _version(package, here)):
                others[version] += 1
        if others:
            there = ", ".join(f"{version} on {count} of the workers" for version, count in others.items())
            parts.append(f"{package} {_version(package, here)} here, {there}")
    if not parts:
        return ""
    return (
        f"the Dask workers have other versions: {'; '.join(parts)}. Functions and results are pickled, and may not "
        "load, or behave otherwise, there or here: use the same environment"
    )


def _workers(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {address: at["packages"] for address, at in found["workers"].items() if at}


def _version(package: str, packages: Mapping[str, Any]) -> str:
    version = str(packages.get(package) or "")
    return ".".join(version.split(".")[:2]) if package == "python" else version
