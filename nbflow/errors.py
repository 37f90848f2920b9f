"""What a caller can catch: every error that nbflow raises is an :class:`NbflowError`.

Failures of an execution are *values* inside the core (:class:`nbflow.language.values.Failure`) and
become ``error`` and ``cause`` of the execution. Exceptions are for the person who called a function.
"""


class NbflowError(Exception):
    """The base of all errors that nbflow raises to its callers."""


class Fail(NbflowError):
    """A failure with an error name of your own: ``raise nf.Fail("NoData", "nothing to report")``.

    In a flow it is a Fail state. A task may raise it too, and fails with ``error`` as its error name and ``cause`` as
    the message; what ``except nf.Fail`` lists is "nbflow.Fail".
    """

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause

    def __str__(self) -> str:
        return self.cause or self.error
