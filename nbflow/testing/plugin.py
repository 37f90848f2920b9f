"""The pytest plugin: fixtures for tests of state machines.

pytest loads it by itself where nbflow is installed. It imports next to nothing until a fixture is used.

``run_machine``
    :func:`nbflow.testing.run_machine` on the test's ``virtual_clock``. With ``case=…`` and no mocks, it plays a test
    case of the MockConfigFile that the ini option ``nbflow_mock_config`` names.
``virtual_clock``
    A :class:`~nbflow.testing.VirtualClock` of the test's own.
``nbflow_store``
    A store in a temporary folder, which is the connection of this test, and of the processes that it starts; so the
    project's own store is not touched. Its value is what ``nf.connect`` returns.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nbflow.testing.clock import VirtualClock
    from nbflow.testing.running import MachineRun

_INI = "nbflow_mock_config"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``nbflow_mock_config``, relative to the folder of the ini file."""
    parser.addini(_INI, "MockConfigFile for run_machine(…, case=…) of the run_machine fixture")


@pytest.fixture
def virtual_clock() -> "VirtualClock":
    """A clock that moves only when it is told to, or when what a machine waits for is due."""
    from nbflow.testing import VirtualClock

    return VirtualClock()


@pytest.fixture
def run_machine(virtual_clock: "VirtualClock", pytestconfig: pytest.Config) -> "Callable[..., MachineRun]":
    """``run_machine(definition, input, mocks)`` runs a state machine to its end, in no time (nbflow.testing)."""
    from nbflow.testing import run_machine as run

    def on_this_clock(
        definition: Any, input: object = None, mocks: Any = None, *, case: str | None = None, **options: Any
    ) -> "MachineRun":
        if mocks is None and case is not None:
            mocks = _mock_config(pytestconfig)
        return run(definition, input, mocks, case=case, **{"clock": virtual_clock, **options})

    return on_this_clock


def _mock_config(config: pytest.Config) -> Path:
    path: str = config.getini(_INI)
    if not path:
        raise pytest.UsageError(
            f"case=… needs a MockConfigFile: give its path as mocks, or set {_INI} in the ini file"
        )
    return (config.inipath.parent if config.inipath else config.rootpath) / path


@pytest.fixture
def nbflow_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty store, which is the connection until the test ends: nothing touches the project's own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('nbflow') / 'nbflow.sqlite'}"
    monkeypatch.setenv("NBFLOW_URL", url)
    nbflow = import_module(
        "nbflow"
    )  # by name: this room is beside the house, and the connection high up in it
    yield nbflow.connect(url)
    nbflow.disconnect()
