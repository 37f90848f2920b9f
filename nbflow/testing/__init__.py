"""What we ship to users for their tests: a virtual clock, and a pool that does its jobs on the spot or when told to."""

from nbflow.testing.clock import VirtualClock
from nbflow.testing.pool import ScriptedPool

__all__ = ["ScriptedPool", "VirtualClock"]
