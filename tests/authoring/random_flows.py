"""Random flows: the source text of a function that can be a flow, and an input for it, from a seed.

Expressions come from the tables of :mod:`tests.authoring.random_grammar`. Statements are written by methods that know which
variables are certainly set, and of what kind they are: so that most flows run to their end.
"""

import functools
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from tests.authoring.random_grammar import (
    ANNOTATIONS,
    AUGMENTED,
    CALLS,
    CONDITIONS,
    DONE,
    HANDLED,
    HIDDEN,
    LEAVES,
    NAMES,
    PLAIN,
    RAISED,
    TESTS,
    TRIED,
    UNPACKED,
    VALUES,
)


class Source(NamedTuple):
    """A function named ``flow``, and an input for it."""

    text: str
    input: dict[str, Any]


KINDS: Final = list(LEAVES)
PARAMETERS: Final = list(VALUES)
_APART: Final = {"error", "pair", "lost"}
"""Kinds that are not just any value: what ``e`` is, a tuple (between two steps it is a list, except where the text shows a
tuple), and a variable that may be one."""
_ITERABLES: Final = {"ints": "int", "strs": "str", "table": "ints", "str": "str", "dict": "str"}
_LISTS: Final = {"ints": "int", "strs": "str", "table": "ints", "any": "any"}
_HOLE: Final = re.compile(r"<(\w+)([!?]?)>")

Scope = dict[str, str]
"""The kinds of the variables that are certainly set."""


def random_flow(seed: int) -> Source:
    """The flow of this seed. Some hundred characters, or a few thousand; up to nine statements at its top level."""
    return _Writer(random.Random(seed)).flow()


def either(kind: str, other: str) -> str:
    """The kind of what is of the one kind or of the other."""
    if kind == other:
        return kind
    return "lost" if _APART.intersection((kind, other)) else "any"


def join(scopes: Iterable[Scope]) -> Scope:
    """What is certainly set where branches meet."""
    first, *others = scopes
    return {
        name: functools.reduce(either, (other[name] for other in others), kind)
        for name, kind in first.items()
        if all(name in other for other in others)
    }


class _Writer:
    """Writes one flow, from its first line to its last."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lines: list[str] = []
        self.indent = 1
        self.scope: Scope = {}
        self.writes: list[Scope] = []
        """For each ``try`` body that is open: the variables that it has assigned, and what they may be there."""
        self.handlers = 0
        """How many ``except`` clauses are open."""
        self.fuel = rng.choice([1, 2, 2, 3])
        """How deep expressions get."""

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    # --- the whole

    def flow(self) -> Source:
        header, input = self.signature()
        if self.chance(0.2):
            self.line('"""A random flow."""')
        if self.block(self.rng.choice([1, 2, 3, 4, 6, 9]), depth=2):
            self.finish()
        return Source("\n".join([header, *self.lines, ""]), input)

    def signature(self) -> tuple[str, dict[str, Any]]:
        """The ``def`` line and an input. Parameters with a default stand last, and the input may lack them."""
        parameters: list[str] = []
        input: dict[str, Any] = {}
        names = self.rng.sample(NAMES, self.rng.randint(0, 3))
        defaults = self.rng.randint(0, len(names))
        for index, name in enumerate(names):
            kind = self.rng.choice(PARAMETERS)
            self.scope[name] = kind
            annotated = self.chance(0.7)
            text = f"{name}: {ANNOTATIONS[kind]}" if annotated else name
            has_default = index >= defaults
            if has_default:
                text += f" = {self.rng.choice(VALUES[kind])!r}"
            if not has_default or self.chance(0.5):
                input[name] = self.rng.choice(VALUES[kind])
            parameters.append(text)
        if parameters and self.chance(0.2):
            parameters.insert(self.rng.randrange(len(parameters)), "*")
        return f"def flow({', '.join(parameters)}):", input

    def finish(self) -> None:
        """Return everything that is known, most often."""
        names = [name for name, kind in self.scope.items() if kind not in ("error", "lost")]
        if not names or self.chance(0.15):
            self.line(f"return {self.expression('any')}" if self.chance(0.8) else "return")
        elif self.chance(0.97):
            self.line("return {" + ", ".join(f"{name!r}: {name}" for name in names) + "}")

    def line(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    # --- expressions

    def expression(self, kind: str, fuel: int | None = None, *, plain: bool = False) -> str:
        fuel = self.fuel if fuel is None else fuel
        if fuel <= 0 or self.chance(0.25):
            return self.leaf(kind)
        if not plain and kind in _LISTS and self.chance(0.2):
            return self.comprehension(_LISTS[kind], fuel)
        if not plain and self.chance(0.4):
            return self.call(kind, fuel)
        return self.fill(self.rng.choice(PLAIN[kind]), fuel, plain=plain)

    def call(self, kind: str, fuel: int | None = None) -> str:
        """An expression with a task call in it."""
        return self.fill(self.rng.choice(CALLS[kind]), self.fuel if fuel is None else fuel)

    def fill(self, template: str, fuel: int = 1, *, plain: bool = False) -> str:
        def hole(found: re.Match[str]) -> str:
            kind, how = found.groups()
            if how == "?":
                return self.variable(kind) or f"({self.rng.choice(LEAVES[kind][:4])})"
            return self.expression(kind, fuel - self.rng.randint(1, 2), plain=plain or how == "!")

        return _HOLE.sub(hole, template)

    def leaf(self, kind: str) -> str:
        if kind == "str" and (error := self.variable("error")) and self.chance(0.7):
            return f"str({error})"
        if kind == "any" and self.chance(0.5):
            return self.leaf(self.rng.choice(PARAMETERS))
        return (self.variable(kind) if self.chance(0.7) else None) or self.rng.choice(LEAVES[kind])

    def variable(self, kind: str) -> str | None:
        fit = [
            name for name, its in self.scope.items() if its == kind or (kind == "any" and its not in _APART)
        ]
        return self.rng.choice(fit) if fit else None

    def comprehension(self, element: str, fuel: int) -> str:
        """A list comprehension with a task call for each item; its targets may hide variables."""
        clauses, targets = self.clauses(fuel)
        with self.within({**self.scope, **targets}):
            target, kind = self.rng.choice(list(targets.items()))
            if self.chance(0.25):
                condition = self.rng.choice(CONDITIONS.get(kind, ["v"]))
                clauses += " if " + self.fill(re.sub(r"\bv\b", target, condition))
            if element in _LISTS and self.chance(0.4):
                return f"[{self.comprehension(_LISTS[element], fuel - 1)} {clauses}]"
            return f"[{self.call(element, fuel - 1)} {clauses}]"

    def clauses(self, fuel: int) -> tuple[str, Scope]:
        """The ``for … in …`` of a comprehension, and its targets. Only the first iterable may fail or call tasks."""
        a, b = self.rng.sample(NAMES, 2)
        if self.chance(0.1):
            b = self.rng.choice(HIDDEN)
        kind = self.rng.choice(list(_ITERABLES))
        source, item = self.expression(kind, fuel - 1), _ITERABLES[kind]
        match self.rng.randrange(10):
            case 0:
                return f"for {a}, {b} in enumerate({source})", {a: "int", b: item}
            case 1:
                pairs = self.expression("dict", fuel - 1)
                return f"for {a}, {b} in {pairs}.items()", {a: "str", b: "int"}
            case 2:
                others = self.expression("ints", fuel - 1)
                return f"for {a}, {b} in zip({source}, {others})", {a: item, b: "int"}
            case 3:
                rows = self.expression("table", fuel - 1)
                return f"for {a} in {rows} for {b} in {a}", {a: "ints", b: "int"}
            case 4:
                visible = {name: its for name, its in self.scope.items() if name != b}
                with self.within({**visible, a: item}):
                    others = self.fill("<ints?>")
                return f"for {a} in {source} if {a} for {b} in {others}", {a: item, b: "int"}
            case 5:
                numbers = self.fill("[<int!>, <int!>]")
                return f"for {a}, ({b}, *{a}) in [(1, {numbers})]", {a: "ints", b: "int"}
        return f"for {a} in {source}", {a: item}

    @contextmanager
    def within(self, scope: Scope) -> Iterator[None]:
        outer, self.scope = self.scope, scope
        yield
        self.scope = outer

    # --- statements

    def block(self, size: int, depth: int) -> bool:
        """Write so many statements, one level deeper than the header before it. False: it never reaches its end."""
        for _ in range(size):
            writers = [write for write, least, weight in STATEMENTS if depth >= least for _ in range(weight)]
            if not self.rng.choice(writers)(self, depth):
                return False
        return True

    def nested(self, scope: Scope, depth: int) -> Scope | None:
        """Write an indented block that begins with this scope. What is set after it, or None if its end is never reached."""
        self.indent += 1
        with self.within(dict(scope)):
            falls = self.block(self.rng.choice([1, 1, 2, 3]), depth - 1)
            if falls and self.chance(0.2):
                self.leave()
                falls = False
            after = self.scope
        self.indent -= 1
        return after if falls else None

    def bind(self, name: str, kind: str) -> None:
        self.scope[name] = kind
        for written in self.writes:
            written[name] = either(written.get(name, kind), kind)

    def name(self) -> str:
        mine = [name for name, kind in self.scope.items() if kind != "error"]
        return self.rng.choice(mine if mine and self.chance(0.45) else NAMES)

    def assign(self, depth: int) -> bool:
        kind, name = self.rng.choice(KINDS), self.name()
        value = self.call(kind) if self.chance(0.4) else self.expression(kind)
        if self.chance(0.15):
            other = self.name()
            self.line(f"{name} = {other} = {value}")
            self.bind(other, kind)
        else:
            self.line(f"{name}: {ANNOTATIONS[kind]} = {value}" if self.chance(0.2) else f"{name} = {value}")
        self.bind(name, kind)
        return True

    def augment(self, depth: int) -> bool:
        found = [(name, kind) for name, kind in self.scope.items() if kind in AUGMENTED]
        if not found:
            return self.assign(depth)
        name, kind = self.rng.choice(found)
        self.line(f"{name} {self.fill(self.rng.choice(AUGMENTED[kind]), 2)}")
        return True

    def unpack(self, depth: int) -> bool:
        targets, value, kinds = self.rng.choice(UNPACKED)
        names = self.rng.sample(NAMES, 3)
        swapped = [name for name, kind in self.scope.items() if kind not in _APART]
        if len(swapped) >= 2 and self.chance(0.15):
            a, b = self.rng.sample(swapped, 2)
            self.line(f"{a}, {b} = {b}, {self.rng.choice(['{}', 'echo({})', '[{}]']).format(a)}")
            kind = self.scope[b]
            self.bind(b, "any")
            self.bind(a, kind)
            return True
        self.line(f"{targets.format(*names)} = {self.fill(value, self.fuel)}")
        for name, kind in zip(names, kinds.split(), strict=False):
            self.bind(name, kind)
        return True

    def do(self, depth: int) -> bool:
        self.line(self.fill(self.rng.choice(DONE), self.fuel))
        return True

    def branch(self, depth: int) -> bool:
        """``if``, ``elif``, ``else``; a branch may return."""
        before, ends = self.scope, list[Scope | None]()
        for keyword in ["if", *["elif"] * self.rng.choice([0, 0, 1, 2])]:
            self.line(f"{keyword} {self.condition()}:")
            ends.append(self.nested(before, depth))
        if self.chance(0.6):
            self.line("else:")
            ends.append(self.nested(before, depth))
        else:
            ends.append(before)
        return self.meet(ends)

    def condition(self) -> str:
        kind = self.rng.choice(["test", "test", "bool", "bool", "any"])
        if kind == "test":
            return self.fill(self.rng.choice(TESTS))
        return self.call("bool") if self.chance(0.5) else self.expression(kind)

    def meet(self, ends: list[Scope | None]) -> bool:
        reached = [end for end in ends if end is not None]
        if reached:
            self.scope = join(reached)
        return bool(reached)

    def attempt(self, depth: int) -> bool:
        """``try``, ``except``, ``else``. A handler sees what was set before; its ``as e`` ends with it."""
        before, written = dict(self.scope), Scope()
        self.line("try:")
        self.indent += 1
        self.writes.append(written)
        if self.chance(0.75):
            self.line(self.fill(self.rng.choice(TRIED), 2))
        self.indent -= 1
        after = self.nested(before, depth)
        self.writes.pop()
        seen = {name: either(written.get(name, kind), kind) for name, kind in before.items()}
        ends = [self.handler(clause, seen, depth) for clause in self.handled()]
        if after is not None and self.chance(0.3):
            self.line("else:")
            after = self.nested(after, depth)
        return self.meet([after, *ends])

    def handled(self) -> list[str]:
        classes = self.rng.sample(HANDLED, self.rng.choice([1, 1, 2, 3]))
        clauses = [name if self.chance(0.7) else f"({name}, {self.rng.choice(HANDLED)})" for name in classes]
        return [*clauses, self.rng.choice(["", "Exception"])] if self.chance(0.65) else clauses

    def handler(self, clause: str, seen: Scope, depth: int) -> Scope | None:
        error = f"e{self.handlers or ''}"
        named = bool(clause) and self.chance(0.6)
        self.line(f"except {clause}{f' as {error}' * named}:".replace("except :", "except:"))
        self.handlers += 1
        end = self.nested({**seen, error: "error"} if named else seen, depth)
        self.handlers -= 1
        if end is not None and named:
            del end[error]
        return end

    def leave(self) -> None:
        """``return`` or ``raise``."""
        error = self.variable("error")
        if error and self.chance(0.25):
            self.line(self.rng.choice([f"raise {error}", f"raise OwnError(str({error})) from {error}"]))
        elif self.handlers and self.chance(0.4):
            self.line("raise")
        elif self.chance(0.3):
            self.line(self.fill(self.rng.choice(RAISED), 1))
        else:
            self.line(f"return {self.call('any') if self.chance(0.5) else self.expression('any')}")


STATEMENTS: Final[tuple[tuple[Callable[[_Writer, int], bool], int, int], ...]] = (
    (_Writer.assign, 0, 10),
    (_Writer.augment, 0, 2),
    (_Writer.unpack, 0, 4),
    (_Writer.do, 0, 2),
    (_Writer.branch, 1, 3),
    (_Writer.attempt, 1, 4),
)
"""Each with the least depth that it needs, and how often it is taken."""
