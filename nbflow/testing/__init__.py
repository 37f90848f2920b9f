"""What we ship to users for their tests.

:func:`run_machine` runs a definition to its end, at once and in this thread: time is a :class:`VirtualClock`'s, and
what the Task states give is scripted. ``Execution.to_test()`` writes such a test from a real run. In pytest there are
fixtures, too (:mod:`nbflow.testing.plugin`). Everything is imported when it is first used: pytest loads the plugin
into every session.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbflow.testing.clock import VirtualClock as VirtualClock
    from nbflow.testing.mocks import NEVER as NEVER
    from nbflow.testing.mocks import After as After
    from nbflow.testing.mocks import MockError as MockError
    from nbflow.testing.mocks import Return as Return
    from nbflow.testing.mocks import Throw as Throw
    from nbflow.testing.player import NeverEnds as NeverEnds
    from nbflow.testing.pool import ScriptedPool as ScriptedPool
    from nbflow.testing.running import MachineFailed as MachineFailed
    from nbflow.testing.running import MachineRun as MachineRun
    from nbflow.testing.running import run_machine as run_machine

_HOME = {
    "NEVER": "nbflow.testing.mocks",
    "After": "nbflow.testing.mocks",
    "MachineFailed": "nbflow.testing.running",
    "MachineRun": "nbflow.testing.running",
    "MockError": "nbflow.testing.mocks",
    "NeverEnds": "nbflow.testing.player",
    "Return": "nbflow.testing.mocks",
    "ScriptedPool": "nbflow.testing.pool",
    "Throw": "nbflow.testing.mocks",
    "VirtualClock": "nbflow.testing.clock",
    "run_machine": "nbflow.testing.running",
}

__all__ = list(_HOME)


if not TYPE_CHECKING:  # a type checker knows the names from above

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'nbflow.testing' has no attribute {name!r}")
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(_HOME)
