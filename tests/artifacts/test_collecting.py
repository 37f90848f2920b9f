"""Files leave the shelf when they are old, and never while somebody stores the same content (Shelf.discard)."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from nbflow.artifacts.shelf import Artifact, Shelf, ShelfError

OLD, LIMIT = 1000.0, 2000.0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(str(tmp_path / "artifacts"))


def stored(shelf: Shelf, value: object = threading.Event, *, at: float | None = OLD) -> Artifact:
    artifact = shelf.put(value)
    if at is not None:
        for name in (artifact.file, f"{artifact.file}.json"):
            os.utime(f"{shelf.url}/{name}", (at, at))
    return artifact


def files(shelf: Shelf) -> list[str]:
    return sorted(str(path.relative_to(shelf.url)) for path in Path(shelf.url).rglob("*") if path.is_file())


def test_what_is_old_goes_with_the_text_beside_it(shelf: Shelf) -> None:
    artifact = stored(shelf)
    assert len(files(shelf)) == 2
    assert shelf.discard(artifact.file, LIMIT) >= artifact.bytes
    assert files(shelf) == []


def test_what_is_young_stays(shelf: Shelf) -> None:
    artifact = stored(shelf, at=None)
    assert shelf.discard(artifact.file, LIMIT) == 0
    assert len(files(shelf)) == 2


def test_what_has_gone_already_frees_nothing(shelf: Shelf) -> None:
    Path(shelf.url).mkdir()
    assert shelf.discard("ab/ab.pkl", LIMIT) == 0


def test_what_is_stored_again_becomes_young(shelf: Shelf) -> None:
    artifact = stored(shelf)
    stored(shelf, at=None)
    assert shelf.discard(artifact.file, LIMIT) == 0
    assert len(files(shelf)) == 2


@pytest.mark.parametrize("moment", ["replace", "stat", "unlink"])
def test_what_is_stored_while_it_is_discarded_is_there_afterwards(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    artifact = stored(shelf)
    real: Any = getattr(Path, moment)

    def meanwhile(path: Path, *given: Any, **more: Any) -> Any:
        monkeypatch.setattr(Path, moment, real)
        shelf.put(threading.Event)
        return real(path, *given, **more)

    monkeypatch.setattr(Path, moment, meanwhile)
    shelf.discard(artifact.file, LIMIT)
    assert (Path(shelf.url) / artifact.file).stat().st_size == artifact.bytes
    assert len(files(shelf)) == 2
    assert shelf.get(artifact) is threading.Event


def test_old_files_are_named_by_their_hash(shelf: Shelf) -> None:
    old = stored(shelf)
    stored(shelf, [1], at=None)
    draft = Path(shelf.url) / ".draft-1"
    draft.write_text("left")
    os.utime(draft, (OLD, OLD))
    assert set(shelf.old_files(LIMIT)) == {("", ".draft-1", 4), (old.sha256, old.file, old.bytes)}
    assert shelf.discard(".draft-1", LIMIT) == 4


def test_what_was_put_aside_by_a_killed_process_is_put_back(shelf: Shelf) -> None:
    artifact = stored(shelf)
    path = Path(shelf.url) / artifact.file
    path.rename(f"{path}.aside")
    assert [file for _, file, _ in shelf.old_files(LIMIT)] == [artifact.file]


def test_what_cannot_be_deleted_is_said(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    artifact = stored(shelf)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ShelfError, match=r"cannot be deleted .*Make the shelf writable"):
        shelf.discard(artifact.file, LIMIT)
