"""Which names a piece of code reads before it has set them, found in its byte code.

The compiler has resolved the scopes already: in a cell, ``LOAD_NAME`` and ``STORE_NAME`` are the cell's own names, and
``LOAD_GLOBAL`` in a function within it is one of them, too. What is left is a question about paths: can the reading be
reached from the beginning without passing a store? So the instructions are a graph (with an edge from whatever may
raise to its handler), and each name is followed through it with one bit: set, or not.

A function reads when it is called, not where it is defined. Where it is called cannot be known; but it cannot be before
its name is used. So what it reads is read where its name is loaded, and at the end.
"""

import dis
import sys
from functools import cached_property
from inspect import CO_OPTIMIZED
from itertools import groupby
from types import CodeType
from typing import Final, NamedTuple, TypeAlias

_LOADS: Final = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
_STORES: Final = {"STORE_NAME", "STORE_GLOBAL"}
_DELETES: Final = {"DELETE_NAME", "DELETE_GLOBAL"}
_MAKING: Final = {"MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE"}
_ENDS: Final = {"RETURN_VALUE", "RETURN_CONST"}
_NEVER_GO_ON: Final = _ENDS | {
    "RAISE_VARARGS",
    "RERAISE",
    "JUMP_FORWARD",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
}
_JUMPS: Final = {*dis.hasjrel, *dis.hasjabs}

Position: TypeAlias = tuple[int | None, int | None]
"""Line and column of a name, as the syntax tree has them."""


class Reads(NamedTuple):
    """The names that code reads and has perhaps not set itself."""

    surely: tuple[str, ...]
    """Whoever gets there for the first time finds them not set."""
    perhaps: tuple[str, ...]
    """Some paths set them before, others do not."""


class Code:
    """What a code object does with the names of the cell."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.instructions = list(dis.get_instructions(code))

    @cached_property
    def reads(self) -> Reads:
        """What a cell needs from outside. A function defined in it counts, whether it is called in the cell or not."""
        surely, perhaps = list[str](), list[str]()
        for name, at in self._readings({**self._read_at, **dict.fromkeys(self._ends, self.later)}).items():
            if any(self._can_be(False, name, index) for index in at):
                places = groupby(at, lambda index: self._place(index)[:2])
                first = any(self._are_unset_at_first(name, list(copies)) for _, copies in places)
                (surely if first else perhaps).append(name)
        return Reads(tuple(surely), tuple(perhaps))

    @cached_property
    def now(self) -> frozenset[str]:
        """What running it reads and has perhaps not set; without the functions that it only defines."""
        return frozenset(
            name
            for name, at in self._readings(self._read_at).items()
            if any(self._can_be(False, name, index) for index in at)
        )

    @cached_property
    def later(self) -> frozenset[str]:
        """What the functions read that it defines."""
        return frozenset().union(*self._deferred.values())

    @cached_property
    def left(self) -> frozenset[str]:
        """The names that are set when it has run, on some path at least."""
        return frozenset(
            name for name in self.stored if any(self._can_be(True, name, end) for end in self._ends)
        )

    @cached_property
    def loads(self) -> frozenset[tuple[Position, str]]:
        """Where it, or code within it, loads (or deletes) names of the cell."""
        reading = _LOADS | _DELETES
        own = {(_position(at), at.argval) for at in self.instructions if at.opname in reading}
        own = {(at, name) for at, name in own if at[0] is not None}  # the end of a handler has no place
        return frozenset(own.union(*(inner.loads for inner in self._within)))

    @cached_property
    def global_loads(self) -> frozenset[str]:
        """The globals that a function reads, itself or in code within it, in whatever order."""
        own = {at.argval for at in self.instructions if at.opname == "LOAD_GLOBAL"}
        return frozenset(own.union(*(inner.global_loads for inner in self._within)))

    # --- what each instruction does

    @cached_property
    def _within(self) -> list["Code"]:
        return [Code(at.argval) for at in self.instructions if isinstance(at.argval, CodeType)]

    @property
    def _is_function(self) -> bool:
        return bool(self.code.co_flags & CO_OPTIMIZED)

    @cached_property
    def _ends(self) -> list[int]:
        return [index for index, at in enumerate(self.instructions) if at.opname in _ENDS]

    @cached_property
    def stored(self) -> frozenset[str]:
        """What is set here, or by ``global`` in code within it."""
        own = {at.argval for at in self.instructions if at.opname in _STORES}
        return frozenset(own | self._set_within)

    @cached_property
    def _set_within(self) -> frozenset[str]:
        return frozenset().union(*(inner._global_stores for inner in self._within))

    @cached_property
    def _global_stores(self) -> frozenset[str]:
        own = {at.argval for at in self.instructions if at.opname == "STORE_GLOBAL"}
        return frozenset(own | self._set_within)

    @cached_property
    def _perhaps_set_within(self) -> frozenset[str]:
        """What code within it sets, which may run at any time, without having read it."""
        return frozenset().union(*(inner._global_stores - inner.now for inner in self._within))

    @cached_property
    def _deferred(self) -> dict[str, frozenset[str]]:
        """What the functions read that are kept under a name; with that of the functions that they name."""
        found: dict[str, frozenset[str]] = {}
        if self._is_function:
            return found  # it keeps them in variables of its own
        for index, at in enumerate(self.instructions):
            if isinstance(at.argval, CodeType) and (owner := self._owner(index)):
                inner = Code(at.argval)
                read = inner.later | (inner.now if inner._is_function else frozenset())
                found[owner] = found.get(owner, frozenset()) | read
        return {name: _closure(read, found) for name, read in found.items()}

    def _owner(self, index: int) -> str | None:
        """The name under which the code that is loaded here will be kept: its own, or a lambda's."""
        name: str = self.instructions[index].argval.co_name
        if name.isidentifier():
            return name  # of a def or a class
        after = (at for at in self.instructions[index + 1 :] if at.opname not in _MAKING)
        keeper = next(after, None)
        return keeper.argval if keeper is not None and keeper.opname in _STORES else None

    @cached_property
    def _read_at(self) -> dict[int, frozenset[str]]:
        """The names that each instruction reads, by its number."""
        found: dict[int, frozenset[str]] = {}
        for index, at in enumerate(self.instructions):
            if at.opname in _LOADS:
                found[index] = frozenset({at.argval}) | self._deferred.get(at.argval, frozenset())
            elif at.opname in _DELETES:
                found[index] = frozenset({at.argval})
            elif isinstance(at.argval, CodeType):
                found[index] = self._read_on_loading(index)
        return found

    def _read_on_loading(self, index: int) -> frozenset[str]:
        inner = Code(self.instructions[index].argval)
        if not inner._is_function:
            return inner.now  # a class: its body runs here
        if not self._is_function and self._owner(index):
            return frozenset()
        return inner.now | inner.later

    def _readings(self, read_at: dict[int, frozenset[str]]) -> dict[str, list[int]]:
        """The numbers of the instructions that read each name, sorted by their places in the text."""
        found: dict[str, list[int]] = {}
        for index in sorted(read_at, key=self._place):
            for name in sorted(read_at[index]):
                found.setdefault(name, []).append(index)
        return found

    def _place(self, index: int) -> tuple[int, int, int]:
        """For sorting: the line and column of an instruction; what has none, such as the end, comes last."""
        line, column = _position(self.instructions[index])
        end = index in self._ends or line is None
        return (sys.maxsize if end or line is None else line, column or 0, index)

    # --- following the names along the paths

    @cached_property
    def _next(self) -> list[list[int]]:
        """The instructions that may follow each one, when it has done its work."""
        following: list[list[int]] = []
        for index, at in enumerate(self.instructions):
            after = [] if at.opname in _NEVER_GO_ON else [index + 1]
            if at.opcode in _JUMPS and index not in self._swallowing:
                after.append(self._number[at.argval])
            following.append(after)
        return following

    @cached_property
    def _swallowing(self) -> set[int]:
        """The jumps by which a ``with`` statement goes on after what was raised in it.

        Hardly any context manager does that: only where ``suppress`` is named it is thought possible. Otherwise every
        name that is set under ``with open(…)`` would be one that is perhaps not set.
        """
        if "suppress" in self.code.co_names:
            return set()
        found: set[int] = set()
        for index, at in enumerate(self.instructions):
            if at.opname == "WITH_EXCEPT_START":
                found.add(next(i for i in range(index, len(self.instructions)) if self._jumps_if_true(i)))
        return found

    def _jumps_if_true(self, index: int) -> bool:
        opname = self.instructions[index].opname  # POP_JUMP_FORWARD_IF_TRUE in 3.11
        return opname.startswith("POP_JUMP") and opname.endswith("IF_TRUE")

    @cached_property
    def _handlers(self) -> list[list[int]]:
        """The handlers that get what each instruction raises: it has not done its work."""
        ranges = dis.Bytecode(self.code).exception_entries  # type: ignore[attr-defined]  # not in typeshed
        return [
            [self._number[entry.target] for entry in ranges if entry.start <= at.offset < entry.end]
            for at in self.instructions
        ]

    @cached_property
    def _number(self) -> dict[int, int]:
        return {at.offset: index for index, at in enumerate(self.instructions)}

    @cached_property
    def _bits(self) -> dict[str, int]:
        """A bit for each name that is set somewhere; sets of names are integers."""
        return {name: 1 << number for number, name in enumerate(sorted(self.stored))}

    @cached_property
    def _states(self) -> list[tuple[int, int] | None]:
        """Of each instruction: the names that can be not set when it is reached, and those that can be set.

        None: it is never reached.
        """
        states: list[tuple[int, int] | None] = [None] * len(self.instructions)
        within = sum(self._bits[name] for name in self._perhaps_set_within)
        front = [(0, (1 << len(self._bits)) - 1, within)]
        while front:
            index, unset, is_set = front.pop()
            before = states[index]
            if before is not None:
                unset, is_set = unset | before[0], is_set | before[1]
            if (unset, is_set) == before:
                continue
            states[index] = (unset, is_set)
            front += [(handler, unset, is_set) for handler in self._handlers[index]]
            stored, deleted = self._effect(index)
            unset, is_set = unset & ~stored | deleted, is_set & ~deleted | stored
            front += [(after, unset, is_set) for after in self._next[index]]
        return states

    def _effect(self, index: int) -> tuple[int, int]:
        """The bit of the name that the instruction sets, and of that which it deletes."""
        at = self.instructions[index]
        if at.opname in _STORES:
            return self._bits[at.argval], 0
        return (0, self._bits.get(at.argval, 0)) if at.opname in _DELETES else (0, 0)

    def _can_be(self, is_set: bool, name: str, index: int) -> bool:
        """Whether the instruction can be reached with the name set, or not set."""
        state = self._states[index]
        if state is None or name not in self._bits:
            return state is not None and not is_set
        return bool(state[is_set] & self._bits[name])

    def _are_unset_at_first(self, name: str, copies: list[int]) -> bool:
        """The same for a place of the text; there are several copies of the code of a ``finally``."""
        reached = [index for index in copies if self._states[index] is not None]
        return bool(reached) and all(self._is_unset_at_first(name, index) for index in reached)

    def _is_unset_at_first(self, name: str, index: int) -> bool:
        """Whether the name is never set when the instruction is reached for the first time."""
        if not self._can_be(True, name, index):
            return True
        if not any(min(after, default=at) <= index <= at for at, after in enumerate(self._next)):
            return False  # it is in no loop: it is reached once
        reached, front = set[tuple[int, bool]](), [(0, False), (0, name in self._perhaps_set_within)]
        while front:
            at, is_set = front.pop()
            if (at, is_set) in reached:
                continue
            reached.add((at, is_set))
            if at != index:
                stored, deleted = self._effect(at)
                bit = self._bits[name]
                after = (is_set or stored == bit) and deleted != bit
                front += [(handler, is_set) for handler in self._handlers[at]]
                front += [(following, after) for following in self._next[at]]
        return (index, True) not in reached


def _position(at: dis.Instruction) -> Position:
    where = at.positions
    return (None, None) if where is None else (where.lineno, where.col_offset)


def _closure(read: frozenset[str], deferred: dict[str, frozenset[str]]) -> frozenset[str]:
    """What is read, and what the functions read that are read, and so on."""
    found, front = set(read), list(read)
    while front:
        more = deferred.get(front.pop(), frozenset()) - found
        found |= more
        front += more
    return frozenset(found)
