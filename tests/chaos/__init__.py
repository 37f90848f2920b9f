"""Chaos on real processes: they are killed and paused at random, and afterwards a checker reads what is remembered.

:mod:`~tests.chaos.world` has the processes, :mod:`~tests.chaos.samples` what they run, :mod:`~tests.chaos.driver` the
caller, who notes what it was told, and :mod:`~tests.chaos.checker` the proof. ``make chaos`` runs it for long.
"""
