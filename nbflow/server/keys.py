"""The keys that clients sign with: made once for each store, in a file beside it that only its owner can read.

The file is an AWS shared credentials file, so that ``AWS_SHARED_CREDENTIALS_FILE`` can name it as it is.
"""

import configparser
import os
import secrets
import stat
import string
from pathlib import Path
from typing import Final, NamedTuple

from nbflow.client.connection import beside, made
from nbflow.errors import NbflowError

FILE: Final = "credentials"
_PROFILE: Final = "default"
_ID: Final = "aws_access_key_id"
_SECRET: Final = "aws_secret_access_key"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Keys(NamedTuple):
    """An access key and its secret."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        """Without the secret: what is printed or logged may be read by others."""
        return f"<keys {self.access_key}>"


def file_beside(store: str) -> Path:
    """Where the keys of a store lie, given by its URL: in the folder of its file, or in ``.nbflow`` of this project."""
    return beside(store) / FILE


def keys_in(file: Path) -> Keys:
    """The keys in a file; made, with the file, if it is not there.

    Raises NbflowError if others may read the file, or it cannot be read or made, or it is not such a file.
    """
    try:
        if not file.exists():
            _make(file)
        return _read(file)
    except OSError as error:
        raise NbflowError(f"the keys {file} cannot be read or made: {error.strerror}") from error


def _make(file: Path) -> None:
    """Written whole before it gets its name; of two processes that do so at once, the first one's stays."""
    letters = "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(14))
    content = f"[{_PROFILE}]\n{_ID} = NBFLOW{letters}\n{_SECRET} = {secrets.token_urlsafe(30)}\n"
    made(file.parent)
    draft = file.with_name(f"{FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            draft.chmod(0o600)  # a strict umask may have taken even the owner's rights
            stream.write(content)
        try:
            os.link(draft, file)
        except FileExistsError:
            return  # another process was first: its keys count
    finally:
        draft.unlink()


def _read(file: Path) -> Keys:
    mode = stat.S_IMODE(file.stat().st_mode)
    if os.name == "posix" and mode & _OTHERS:
        raise NbflowError(
            f"the keys {file} may be read by others (mode {mode:04o}), who may have them by now: delete the file, and "
            f"new keys are made; or, if you trust everyone here, chmod 600 it"
        )
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
        return Keys(parser[_PROFILE][_ID], parser[_PROFILE][_SECRET])
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise NbflowError(
            f"{file} is no file of keys (an AWS shared credentials file with a profile {_PROFILE}): delete it, and new "
            "keys are made"
        ) from error
