"""What the API promises: one function per AWS action, in process.

Names, parameters and answers are those of the Step Functions API in Python's spelling; times are seconds since the
epoch.
Errors are :class:`~nbflow.service.errors.ApiError` with AWS's code. No HTTP, no widgets.
"""
