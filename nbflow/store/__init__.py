"""What is remembered: machines, executions and their journal, in one SQL database (SQLite or PostgreSQL).

The room deals in rows and bytes. It knows no ASL: a definition is a text under its SHA-256, the records of a
step are JSON text, a status is a word. What they mean is decided in :mod:`nbflow.machine`.

* :mod:`~nbflow.store.port` is the contract: the protocol ``Store``, the error ``StoreError``; its rows are in ``rows``.
* :mod:`~nbflow.store.schema` holds the tables, :mod:`~nbflow.store.migrations` how older stores become new.
* :mod:`~nbflow.store.opening` turns a URL into a migrated database, or into one clear error.
* :mod:`~nbflow.store.database` is what the two databases differ in; :mod:`~nbflow.store.sqlite` and
  :mod:`~nbflow.store.postgres` fill it in. All statements are written once, for both.
* :mod:`~nbflow.store.registry` keeps the names: machines, versions, aliases, activities, tags.
* :mod:`~nbflow.store.tokens` keeps tasks that others end, and the inbox; :mod:`~nbflow.store.owners` who runs what, and
  the code of tasks; :mod:`~nbflow.store.map_parts` what a Map Run needs to go on.
* :mod:`~nbflow.store.where` reads conditions on executions, :mod:`~nbflow.store.search` asks them of a database.
* :mod:`~nbflow.store.housekeeping` deletes what nobody needs any more.
* :mod:`~nbflow.store.sql` is the store itself; ``open_store(url)`` is the way in.

The one idea is the **group commit**. A journal row *is* a step, ``(execution, step, records)``, and all that
belongs to a step (the new execution, its end, logs, artifacts) is in the same ``Append``. The engine collects
what is ready and appends it in one transaction; ``(execution, step)`` is unique, so that of two writers who
took the same step one wins whole and the other learns that it has lost. Only after ``append`` has returned
True may the world see what the step ordered.

SQLAlchemy takes a quarter of a second to import; ``port`` does not need it, ``sql`` does.
"""
