"""Where tasks are done: threads of this process, or a Dask cluster.

A pool takes jobs and answers each exactly once, from a thread of its own, with an outcome; it never raises to its
caller and never blocks it. What it cannot do (a worker died, the cluster is gone) is an outcome with an error too.
"""
