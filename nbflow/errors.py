"""What a caller can catch: every error that nbflow raises is an :class:`NbflowError`.

Failures of an execution are *values* inside the core (:class:`nbflow.language.values.Failure`) and
become ``error`` and ``cause`` of the execution. Exceptions are for the person who called a function.
"""


class NbflowError(Exception):
    """The base of all errors that nbflow raises to its callers."""
