"""The file of keys: made once, for its owner alone."""

import os
import re
import stat
import threading
from pathlib import Path

import pytest
from botocore.session import Session

from nbflow.errors import NbflowError
from nbflow.server.keys import Keys, file_beside, keys_in

CONTENT = "[default]\naws_access_key_id = NBFLOWA\naws_secret_access_key = b%c\n"


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def written(folder: Path, content: str, mode: int = 0o600) -> Path:
    file = folder / "credentials"
    file.write_text(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_they_are_made_for_their_owner_alone(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        made = keys_in(tmp_path / "credentials")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "credentials") == 0o600
    assert re.fullmatch(r"NBFLOW[A-Z2-7]{14}", made.access_key)
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", made.secret_key)
    assert keys_in(tmp_path / "credentials") == made
    assert [each.name for each in tmp_path.iterdir()] == ["credentials"]


def test_no_two_stores_have_the_same(tmp_path: Path) -> None:
    assert keys_in(tmp_path / "one") != keys_in(tmp_path / "other")


def test_all_who_make_them_at_once_get_the_same(tmp_path: Path) -> None:
    file, together, found = tmp_path / "credentials", threading.Barrier(8), list[Keys]()

    def make() -> None:
        together.wait()
        found.append(keys_in(file))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {keys_in(file)}
    assert [each.name for each in tmp_path.iterdir()] == ["credentials"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_a_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    file = written(tmp_path, CONTENT, mode)
    with pytest.raises(
        NbflowError, match=rf"credentials may be read by others \(mode {mode:04o}\).*delete.*chmod 600"
    ):
        keys_in(file)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ones_own_is_taken(mode: int, tmp_path: Path) -> None:
    assert keys_in(written(tmp_path, CONTENT, mode)) == ("NBFLOWA", "b%c")


@pytest.mark.parametrize("content", ["", "nonsense", "[default]\n", "[default]\naws_access_key_id = a\n", "[other]\na = b\n", "[default]\n[default]\n"])  # fmt: skip
def test_what_is_no_file_of_keys(content: str, tmp_path: Path) -> None:
    with pytest.raises(NbflowError, match=r"no file of keys .*: delete it, and new keys are made"):
        keys_in(written(tmp_path, content))


def test_binary_rubbish(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NbflowError, match="no file of keys"):
        keys_in(file)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NbflowError, match="cannot be read or made: No such file"):
        keys_in(tmp_path / "none" / "credentials")


def test_aws_tools_can_read_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    made = keys_in(tmp_path / "credentials")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    found = Session().get_credentials()
    assert (found.access_key, found.secret_key) == made


def test_the_secret_is_not_printed() -> None:
    assert repr(Keys("NBFLOWA", "secret")) == "<keys NBFLOWA>"


@pytest.mark.parametrize("store", ["sqlite:////a/b/nbflow.sqlite", "sqlite:////a/b/other.db?timeout=3"])
def test_they_lie_beside_the_store(store: str) -> None:
    assert file_beside(store) == Path("/a/b/credentials")


def test_a_relative_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_beside("sqlite:///x/nbflow.sqlite") == tmp_path / "x" / "credentials"
