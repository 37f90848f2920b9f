"""What executions are looked for by: conditions on the JSON of their input and output, as text and as a tree.

::

    condition   = alternative { "or" alternative }
    alternative = term { "and" term }
    term        = "not" term | "(" condition ")" | "exists" "(" PATH ")" | PATH [ comparison ]
    comparison  = OP literal | "in" "(" literal { "," literal } ")" | "like" STRING
    OP          = "=" | "!=" | "<" | "<=" | ">" | ">="
    literal     = a JSON number | STRING | "true" | "false" | "null"

A PATH begins with ``$.input``, ``$.output``, ``$.error``, ``$.cause``, ``$.status`` or ``$.name`` and goes on with
``.name``, ``['any key']`` and ``[0]`` (``[-1]`` is the last item). A STRING stands in single or double quotes, with
JSON's escapes. Words may be written in capitals, too.

Every condition is true or false; there is nothing third:

* Values of two JSON types are never equal: ``"1"`` is not ``1``, and ``true`` is not ``1``. ``1`` is ``1.0``.
* ``<`` and its like compare numbers with numbers, and strings with strings (by code point). All else is false.
* What is not there is neither equal nor unequal to anything: a comparison is false. ``not`` turns that round.
* A PATH alone, or ``exists(PATH)``: something is there, be it null.
* ``like`` is for strings: ``%`` stands for any text, ``_`` for one character, capitals matter; a backslash (in a
  STRING two) takes the meaning from the next character.

How a condition is asked of a database is said in :mod:`nbflow.store.search`.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias, cast

from nbflow.errors import NbflowError

Field: TypeAlias = Literal["input", "output", "error", "cause", "status", "name"]
Step: TypeAlias = str | int
Scalar: TypeAlias = str | int | float | bool | None
Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]

DOCUMENTS: Final = ("input", "output")
"""The fields that are JSON; the others are plain text."""
FIELDS: Final = (*DOCUMENTS, "error", "cause", "status", "name")
MOST_NESTED: Final = 50
"""Levels of parentheses and ``not``."""
MOST_TERMS: Final = 200
"""Comparisons in one condition: databases bound the size of an expression, and each of them costs time."""
_LARGEST, _LEAST = 2**63 - 1, -(2**63)


class WhereError(NbflowError):
    """A condition that cannot be read: shows where, and says what is allowed there."""


@dataclass(frozen=True, slots=True)
class Path:
    """A place in an execution's data."""

    field: Field
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Exists:
    """Something is at the path."""

    path: Path


@dataclass(frozen=True, slots=True)
class Compare:
    """What is at the path stands so to the literal."""

    path: Path
    operator: Operator
    literal: Scalar


@dataclass(frozen=True, slots=True)
class Like:
    """A string that looks like the pattern is at the path."""

    path: Path
    pattern: tuple[str | None, ...]
    """Its characters; ``""`` for any text, None for any one character."""


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    term: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of the terms."""

    terms: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the terms."""

    terms: tuple["Condition", ...]


Condition: TypeAlias = Exists | Compare | Like | Not | All | Some


def parse(text: str) -> Condition:
    """The condition that a text says. Raises WhereError."""
    reader = _Reader(text)
    if reader.kind == "end":
        reader.fail(f"an empty condition; expected {_A_TERM}")
    condition = reader.condition(0)
    if reader.kind != "end":
        reader.refuse("and, or, or the end")
    return condition


_TOKENS: Final = re.compile(
    r"""\s*(?:
      (?P<path>\$(?:\.\w[\w-]*|\[\s*(?:-?[0-9]{1,9}|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*\])*)
    | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<open>['"])
    | (?P<operator><=|>=|!=|=|<|>)
    | (?P<mark>[(),])
    | (?P<word>[A-Za-z]+)
    | (?P<end>\Z)
    | (?P<wrong>.)
    )""",
    re.X | re.S,
)
_STEPS: Final = re.compile(
    r"""\.(\w[\w-]*)|\[\s*(?:(-?[0-9]+)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))\s*\]""", re.S
)
_AS_JSON: Final = {"\\'": "'", '"': '\\"'}
"""What differs from JSON's strings within quotes of either kind."""
_CONSTANTS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_A_PATH: Final = "a path such as $.input.region"
_A_TERM: Final = f"{_A_PATH}, exists(…), not, or ("
_AFTER_A_PATH: Final = "= != < <= > >=, in (…), like '…', and, or, or the end"
_A_LITERAL: Final = "a number, a string in quotes, true, false or null"


class _Reader:
    """Recursive descent over the tokens, one ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = 0
        self._terms = 0
        self.advance()

    def advance(self) -> None:
        match = _TOKENS.match(self._text, self._next)
        assert match is not None  # every text has an end, or something wrong
        self.kind = str(match.lastgroup)
        self.token = match[self.kind]
        self._at = match.start(self.kind)
        self._next = match.end()
        if self.kind == "open":
            self.fail("this string is not closed")

    def refuse(self, allowed: str) -> NoReturn:
        """Raises WhereError: at the token, something else is expected."""
        self.fail(f"expected {allowed}")

    def fail(self, reason: str) -> NoReturn:
        shown = self._text.replace("\n", " ").replace("\t", " ")
        raise WhereError(
            f"where cannot be read at character {self._at + 1}: {reason}\n  {shown}\n  {' ' * self._at}^"
        )

    def _is(self, word: str) -> bool:
        return self.kind in ("word", "mark") and self.token.lower() == word

    def _take(self, word: str) -> bool:
        found = self._is(word)
        if found:
            self.advance()
        return found

    def _expect(self, mark: str, allowed: str = "") -> None:
        if not self._take(mark):
            self.refuse(allowed or mark)

    def condition(self, depth: int) -> Condition:
        terms = [self._alternative(depth)]
        while self._take("or"):
            terms.append(self._alternative(depth))
        return terms[0] if len(terms) == 1 else Some(tuple(terms))

    def _alternative(self, depth: int) -> Condition:
        terms = [self._term(depth)]
        while self._take("and"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self, depth: int) -> Condition:
        if depth == MOST_NESTED:
            self.fail(f"more than {MOST_NESTED} levels of parentheses and not")
        if self._take("not"):
            return Not(self._term(depth + 1))
        if self._take("("):
            inner = self.condition(depth + 1)
            self._expect(")", "and, or, or )")
            return inner
        if self._take("exists"):
            self._expect("(", f"( and {_A_PATH}")
            path = self._path(_A_PATH)
            self._expect(")")
            return Exists(path)
        path = self._path(_A_TERM)
        if self.kind == "operator":
            operator = cast(Operator, self.token)
            self.advance()
            if self.kind == "operator":
                self.refuse(f"{_A_LITERAL} (equal is written =)")
            return Compare(path, operator, self._literal(ordered=operator not in ("=", "!=")))
        if self._take("in"):
            return self._among(path)
        if self._take("like"):
            if self.kind != "string":
                self.refuse("a string in quotes")
            return Like(path, _pattern(str(self._literal())))
        if self.kind != "end" and not any(map(self._is, ("and", "or", ")"))):
            self.refuse(_AFTER_A_PATH)
        return Exists(path)

    def _among(self, path: Path) -> Condition:
        self._expect("(", f"( and {_A_LITERAL}")
        terms = [Compare(path, "=", self._literal())]
        while self._take(","):
            self._count()
            terms.append(Compare(path, "=", self._literal()))
        self._expect(")", ", or )")
        return Some(tuple(terms))

    def _path(self, allowed: str) -> Path:
        if self.kind != "path":
            self.refuse(allowed)
        steps: list[Step] = []
        for name, index, quoted in _STEPS.findall(self.token):
            steps.append(name or (int(index) if index else self._unquoted(quoted)))
        if not steps or steps[0] not in FIELDS:
            self.refuse(f"a path that begins with one of {', '.join(f'$.{field}' for field in FIELDS)}")
        if len(steps) > 1 and steps[0] not in DOCUMENTS:
            self.fail(f"$.{steps[0]} is a text: there is nothing within it")
        path = Path(cast(Field, steps[0]), tuple(steps[1:]))
        self._count()
        self.advance()
        return path

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MOST_TERMS:
            self.fail(f"more than {MOST_TERMS} comparisons")

    def _literal(self, *, ordered: bool = False) -> Scalar:
        value: Scalar
        if self.kind == "string":
            value = self._unquoted(self.token)
        elif self.kind == "number":
            value = _number(self.token)
            if not math.isfinite(value):
                self.fail("the number is too large")
        elif self.kind == "word" and self.token in _CONSTANTS:
            value = _CONSTANTS[self.token]
            if ordered:
                self.refuse("a number or a string in quotes: true, false and null have no order")
        else:
            self.refuse(_A_LITERAL)
        self.advance()
        return value

    def _unquoted(self, quoted: str) -> str:
        body = re.sub(r"\\.|\"", lambda found: _AS_JSON.get(found[0], found[0]), quoted[1:-1], flags=re.S)
        try:
            text = str(json.loads(f'"{body}"', strict=False))
            text.encode()
        except ValueError:
            self.fail(r"the string has a wrong escape: allowed are \" \' \\ \/ \b \f \n \r \t and \uXXXX")
        if "\0" in text:
            self.fail("databases cannot look for the character NUL")
        return text


def _number(text: str) -> int | float:
    """As SQL has numbers: an integer of more than 64 bits is a float."""
    whole = text.lstrip("-").isdigit() and len(text) <= len(str(_LEAST))
    return int(text) if whole and _LEAST <= int(text) <= _LARGEST else float(text)


def _pattern(text: str) -> tuple[str | None, ...]:
    parts = re.findall(r"\\.|.", text, re.S)
    special: dict[str, str | None] = {"%": "", "_": None}
    return tuple(special[part] if part in special else part[-1] for part in parts)
