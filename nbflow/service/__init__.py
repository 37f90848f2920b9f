"""What the API promises: one function per AWS action, in process. No HTTP, no widgets.

An action is a function of a :class:`~nbflow.service.desk.Desk` (the store, the engine, what can do tasks) and of
AWS's parameters in Python's spelling; it answers with AWS's members, times as seconds since the epoch, or raises
:class:`~nbflow.service.errors.ApiError` with AWS's code and words. There is a module for each noun: :mod:`machines`,
:mod:`versions`, :mod:`aliases`, :mod:`executions`, :mod:`express`, :mod:`histories`, :mod:`activities`, :mod:`tags`,
:mod:`map_runs`, and :mod:`try_state` for TestState.

:mod:`actions` is the table of them, and the door for JSON: :mod:`validation` checks what comes in against AWS's own
model of the API. :class:`~nbflow.service.service.Service` is that door and, beside it, methods for Python callers.
"""
