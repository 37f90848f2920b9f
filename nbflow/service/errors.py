"""Errors of the API, by AWS's code."""

from nbflow.errors import NbflowError


class ApiError(NbflowError):
    """An action was refused.

    ``code`` is AWS's, such as ``ExecutionDoesNotExist``; ``message`` is in AWS's words; ``hint`` says what to do about
    it here. As a text it is the message and the hint.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.code = code
        self.message = message
        self.hint = hint
