"""Values that JSON cannot hold, by reference: DataFrames, arrays, models, executed notebooks.

The payload of ASL is JSON. A value becomes a reference **by its type, never by its size**: dicts with
string keys, lists and tuples are walked, and only the leaves that JSON cannot hold are put on the shelf, so
that ``fit["auc"]`` works beside ``fit["model"]``. What stands in the payload is a small object that
JSONPath, JSONata and Choice can look into::

    {"nbflow": "dataframe", "sha256": "9f86d081…", "rows": 336776, "columns": 19, "bytes": 7811231}

* :mod:`~nbflow.artifacts.values` walks: ``pack``, ``unpack``, ``references``, ``Ref``.
* :mod:`~nbflow.artifacts.shelf` keeps: files named by the SHA-256 of their content, written whole or
  not at all, and the live objects of this process.
* :mod:`~nbflow.artifacts.formats` is the table of how each kind is written and read back *exactly*.
* :mod:`~nbflow.artifacts.preview` is what people see of a value without loading it.

The shelf knows no database, so that it can travel to a Dask worker. Which artifacts may be loaded is
decided by the caller, who passes to ``unpack`` those that the store's table knows; a pickle is never opened
because some payload says so. pandas, numpy, pyarrow and fsspec are imported when a value needs them, never
before.
"""
