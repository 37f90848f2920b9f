"""From Python values to the JSON of a payload and back.

``pack`` walks what a task returns: what JSON can hold is copied, every other leaf is put on the shelf and a
reference takes its place. ``unpack`` walks what a task receives. Both build new lists and dicts: a task can
do to its input what it likes.

JSON means what every reader of the payload can hold: strings that UTF-8 can encode, finite floats, integers
of 64 bits, nesting up to :data:`DEPTH`. A subclass of str, int or float (an Enum, a ``numpy.float64``) is
its plain value, as for ``json.dumps``; a subclass of dict, list or tuple is walked.
"""

import math
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nbflow.artifacts.formats import Unpicklable
from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.errors import NbflowError
from nbflow.language.values import Json

DEPTH: Final = 200
"""Levels of lists and dicts. Encoders of JSON stop at about 250, and ours wrap a payload in a few."""

_LEAST, _MOST = -(2**63), 2**64 - 1
_MEMBERS: Final = frozenset({"nbflow", "sha256", "rows", "columns", "bytes"})
_Path: TypeAlias = tuple[str | int, ...]
_Shelved: TypeAlias = dict[int, tuple[object, Artifact]]
"""By id: a leaf that occurs twice is stored once. The leaf is held, so that its id stays its own."""


class NotJson(NbflowError):
    """A value can be neither JSON nor a reference: says where in the value, and what to do."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A value that is not loaded yet: what a task's parameter annotated ``nf.Ref`` receives.

    A task may return it, as it is or inside other values: it becomes the same reference again.
    """

    artifact: Artifact
    shelf: Shelf

    @property
    def rows(self) -> int | None:
        """The number of rows, without loading."""
        return self.artifact.rows

    @property
    def columns(self) -> int | None:
        """The number of columns, without loading."""
        return self.artifact.columns

    def load(self) -> object:
        """The value, a fresh one at each call. Raises ShelfError."""
        return self.shelf.get(self.artifact)


def reference(artifact: Artifact) -> dict[str, Json]:
    """What stands in a payload for the artifact: its kind, hash and sizes, less than 500 bytes."""
    members = {
        "nbflow": artifact.kind,
        "sha256": artifact.sha256,
        "rows": artifact.rows,
        "columns": artifact.columns,
        "bytes": artifact.bytes,
    }
    return {name: value for name, value in members.items() if value is not None}


def _referred(value: dict[str, Json]) -> str | None:
    """The hash in an object that has the shape of a reference."""
    sha256 = value.get("sha256")
    if "nbflow" in value and isinstance(sha256, str) and value.keys() <= _MEMBERS:
        return sha256
    return None


def references(json: Json) -> set[str]:
    """The hashes in a JSON value (of plain lists and dicts), whether the store knows them or not."""
    found = set()
    stack = [json]
    while stack:
        value = stack.pop()
        if type(value) is dict:
            if "nbflow" in value and (sha256 := _referred(value)):
                found.add(sha256)
            else:
                stack.extend(value.values())
        elif type(value) is list:
            stack.extend(value)
    return found


def unpack(
    json: Json, known: Mapping[str, Artifact], shelf: Shelf, *, keep: bool | Collection[str] = False
) -> object:
    """The value with its references loaded; it shares no list or dict with ``json``.

    ``known`` holds the artifacts that may be loaded, by hash: those which the store's table knows. An
    object that looks like a reference to anything else stays what it is, and what is loaded, and how, is
    said by the artifact, never by the payload. ``keep``: True for a :class:`Ref` instead of each value, or
    the names of those members of the outermost object in which to keep them so. Raises ShelfError.
    """
    if isinstance(keep, bool):
        return _loaded(json, known, shelf, keep)
    if not isinstance(json, dict) or _referred(json) in known:
        return _loaded(json, known, shelf, False)
    return {name: _loaded(item, known, shelf, name in keep) for name, item in json.items()}


def _loaded(json: Json, known: Mapping[str, Artifact], shelf: Shelf, keep: bool) -> object:
    if isinstance(json, list):
        return [_loaded(item, known, shelf, keep) for item in json]
    if not isinstance(json, dict):
        return json
    artifact = known.get(_referred(json) or "")
    if artifact is None:
        return {name: _loaded(item, known, shelf, keep) for name, item in json.items()}
    return Ref(artifact, shelf) if keep else shelf.get(artifact)


def pack(value: object, shelf: Shelf, *, name: str = "result") -> tuple[Json, list[Artifact]]:
    """The value as JSON, and the artifacts that it refers to, each once.

    ``name`` is what messages call the value. Raises NotJson, with the path of the culprit, for NaN,
    infinity, an integer of more than 64 bits, a string that UTF-8 cannot encode, a value nested too deeply,
    and a leaf that can be neither JSON nor pickled; ShelfError where the shelf cannot be written.
    """
    shelved: _Shelved = {}
    json = _packed(value, (name,), shelf, shelved)
    return json, list({artifact.sha256: artifact for _, artifact in shelved.values()}.values())


def plain(value: object, *, name: str = "result") -> Json:
    """The value as JSON, where nothing may travel by reference.

    Raises NotJson as :func:`pack` does, and for every leaf that JSON cannot hold.
    """
    return _packed(value, (name,), None, {})


def _packed(value: Any, path: _Path, shelf: Shelf | None, shelved: _Shelved) -> Json:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _text(str.__str__(value), path)
    if isinstance(value, int):
        return _integer(int.__int__(value), path)
    if isinstance(value, float):
        return _finite(float.__float__(value), path)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        _check_depth(path)
        return {
            _text(str.__str__(key), path): _packed(item, (*path, key), shelf, shelved)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        _check_depth(path)
        return [_packed(item, (*path, at), shelf, shelved) for at, item in enumerate(value)]
    if (number := _numpy_number(value)) is not None:
        return _packed(number, path, shelf, shelved)
    if shelf is None:
        raise _not_json(
            path,
            f"{_article(type(value).__name__)}, which JSON cannot hold. Return plain data: numbers, texts, lists, and "
            "dicts with texts as keys",
        )
    if id(value) not in shelved:
        shelved[id(value)] = (value, _put(value, path, shelf))
    return reference(shelved[id(value)][1])


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def _text(text: str, path: _Path) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _not_json(
                path, f"a string with a lone surrogate, which UTF-8 cannot encode ({error}). Clean it"
            ) from error
    return text


def _integer(number: int, path: _Path) -> int:
    if not _LEAST <= number <= _MOST:
        raise _not_json(path, "an integer of more than 64 bits. Return it as a string, or as a float")
    return number


def _finite(number: float, path: _Path) -> float:
    if not math.isfinite(number):
        raise _not_json(
            path, f"{number}, which JSON does not have. Return None instead, or leave it in a DataFrame"
        )
    return number


def _check_depth(path: _Path) -> None:
    if len(path) > DEPTH:
        raise _not_json(path[:6], f"nested more than {DEPTH} levels deep, or contains itself. Flatten it")


def _numpy_number(value: Any) -> bool | int | float | None:
    """The Python number of a numpy scalar that is one exactly (a ``longdouble`` or ``datetime64`` is not)."""
    generic = getattr(sys.modules.get("numpy"), "generic", None)
    if generic is None or not isinstance(value, generic) or value.dtype.kind not in "biuf":
        return None
    plain = value.item()
    return plain if type(plain) in (bool, int, float) else None


def _put(value: Any, path: _Path, shelf: Shelf) -> Artifact:
    if isinstance(value, Ref):
        return value.artifact
    try:
        return shelf.put(value)
    except Unpicklable as error:
        raise _not_json(
            path, f"{error}. Return plain data, a DataFrame, or an object that can be pickled"
        ) from error


def _not_json(path: _Path, what: str) -> NotJson:
    name, *steps = path
    return NotJson(f"{name}{''.join(f'[{step!r}]' for step in steps)} is {what}.")
