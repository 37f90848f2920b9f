"""How one task is done: a job goes in, an outcome comes out, wherever it runs.

A :class:`~nbflow.tasks.job.Job` can be pickled and knows no store, no engine and no definition. ``perform`` never
raises: whatever a task does (raise, return what cannot be stored, print megabytes, call ``sys.exit``) becomes an
:class:`~nbflow.tasks.job.Outcome` with an error name and a cause that people can read.
"""
