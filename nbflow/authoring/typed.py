"""The few expressions that become JSONata: where the kinds of the operands prove that it answers as Python does.

JSONata compares numbers as doubles, calls ``[1] = 1`` what it likes, and has a truth of its own. So there is a rule for
each expression below, every other expression stays Python (:mod:`nbflow.authoring.inline`), and each rule is tested
against Python over nasty values.

A variable stands in an expression as a hole (:func:`hole`): whether it is ``$name`` or ``$states.input.name`` is known
when the scope is complete.
"""

import ast
import json
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from nbflow.authoring.kinds import BOOLEAN, COUNT, STRING, Kind, Promise, of_value
from nbflow.authoring.names import MISSING
from nbflow.language.values import Json


class Rendered(NamedTuple):
    """An expression in JSONata."""

    text: str
    kind: Kind
    promises: frozenset[Promise] = frozenset()
    """What has to be checked for this to be right."""
    whole: bool = True
    """Whether it can be an operand as it is, without parentheses."""

    @property
    def operand(self) -> str:
        return self.text if self.whole else f"({self.text})"


class Template(NamedTuple):
    """An expression as a payload template: JSON with JSONata strings in it."""

    value: Json
    kind: Kind
    promises: frozenset[Promise] = frozenset()


class Reader(Protocol):
    """What an expression can see."""

    def kind(self, name: str) -> Kind | None:
        """What is known of a variable; None, if there is no such variable."""
        ...

    def meaning(self, node: ast.expr) -> Any:
        """The Python value of a name or attribute that is no variable's; else MISSING."""
        ...


def hole(name: str) -> str:
    """Where a variable is read. (JSON text has no NUL, and so no literal looks like a hole.)"""
    return f"\0{name}\0"


def quoted(text: str) -> str:
    """A literal of JSONata."""
    return json.dumps(text, ensure_ascii=False)


def template(node: ast.expr, reader: Reader) -> Template | None:
    """The expression as a template, or None if it has to stay Python."""
    constant = fold(node, reader)
    if constant is not MISSING:
        return _literal(constant)
    match node:
        case ast.Name() if (kind := reader.kind(node.id)) is not None:
            return None if kind.name == "failure" else Template(f"{{% {hole(node.id)} %}}", kind)
        case ast.List() | ast.Tuple():
            items = [template(each, reader) for each in node.elts]
            if any(item is None for item in items):
                return None
            kind = Kind("tuple" if isinstance(node, ast.Tuple) else "array", len(items))
            return _display([item for item in items if item], lambda values: values, kind)
        case ast.Dict():
            keys = [fold(key, reader) if key else MISSING for key in node.keys]
            members = [template(value, reader) for value in node.values]
            if any(not _is_key(key) for key in keys) or None in members or len(set(keys)) < len(keys):
                return None
            kept = [member for member in members if member]
            return _display(kept, lambda values: dict(zip(keys, values, strict=True)), Kind("object"))
        case ast.Attribute(attr="shape") if (frame := _frame(node.value, reader)) is not None:
            rows, columns = f"{{% {frame.text}.rows %}}", f"{{% {frame.text}.columns %}}"
            return Template([rows, columns], Kind("tuple", 2), frame.promises)
    rendered = render(node, reader)
    return Template(f"{{% {rendered.text} %}}", rendered.kind, rendered.promises) if rendered else None


def _display(members: list[Template], build: Callable[[list[Json]], Json], kind: Kind) -> Template:
    promises = frozenset[Promise]().union(*(member.promises for member in members))
    return Template(build([member.value for member in members]), kind, promises)


def _is_key(key: object) -> bool:
    return type(key) is str and key.isprintable()


def fold(node: ast.expr, reader: Reader) -> Any:
    """The value of a literal, or of a global that holds what could be one; else MISSING."""
    match node:
        case ast.Constant(value):
            found = value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)) if type(number) is not bool:
            found = -number
        case ast.Name() | ast.Attribute():
            found = reader.meaning(node)
        case _:
            return MISSING
    return found if type(found) in (int, float, str, bool, type(None)) else MISSING


def _literal(value: Any) -> Template | None:
    """A constant in the definition, if the definition can hold it and gives it back as it is."""
    if isinstance(value, str):
        if not value.isascii() and value != value.encode(errors="replace").decode():
            return None  # a lone surrogate
        return Template(as_text(value), STRING)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return None
    return Template(value, of_value(value))


def as_text(text: str) -> str:
    """A text as a template: one that looks like an expression is quoted in an expression."""
    return f"{{% {quoted(text)} %}}" if text.startswith("{%") else text


def render(node: ast.expr, reader: Reader) -> Rendered | None:
    """The expression in JSONata, or None if it has to stay Python."""
    constant = fold(node, reader)
    if constant is not MISSING:
        return _constant(constant)
    if isinstance(node, ast.Name):
        kind = reader.kind(node.id)
        return None if kind is None or kind.name == "failure" else Rendered(hole(node.id), kind)
    rule = _RULES.get(type(node))
    return rule(node, reader) if rule else None


def _constant(value: Any) -> Rendered | None:
    literal = _literal(value)
    if literal is None or (literal.kind.name == "number" and not literal.kind.exact):
        return None
    return Rendered(json.dumps(value, ensure_ascii=False), literal.kind)


def _all(nodes: list[ast.expr], reader: Reader, kind: str) -> list[Rendered]:
    """All the expressions, if all are of this kind; else nothing."""
    found = [render(node, reader) for node in nodes]
    kept = [each for each in found if each and each.kind.name == kind]
    return kept if len(kept) == len(nodes) else []


def _relied(*operands: Rendered) -> frozenset[Promise]:
    """The promises of operands whose kinds matter."""
    return frozenset[Promise]().union(*(each.promises | each.kind.promises for each in operands))


def _joined(operands: list[Rendered], operator: str, kind: Kind) -> Rendered:
    text = f" {operator} ".join(each.operand for each in operands)
    return Rendered(text, kind, _relied(*operands), whole=False)


def _and_or(node: ast.BoolOp, reader: Reader) -> Rendered | None:
    operands = _all(node.values, reader, "boolean")
    operator = "and" if isinstance(node.op, ast.And) else "or"
    return _joined(operands, operator, BOOLEAN) if operands else None


def _not(node: ast.UnaryOp, reader: Reader) -> Rendered | None:
    operands = _all([node.operand], reader, "boolean") if isinstance(node.op, ast.Not) else []
    return Rendered(f"$not({operands[0].text})", BOOLEAN, _relied(*operands)) if operands else None


def _concatenation(node: ast.BinOp, reader: Reader) -> Rendered | None:
    operands = _all([node.left, node.right], reader, "string") if isinstance(node.op, ast.Add) else []
    return _joined(operands, "&", STRING) if operands else None


def _format(node: ast.JoinedStr, reader: Reader) -> Rendered | None:
    values = [
        each.value
        if isinstance(each, ast.FormattedValue) and each.conversion in (-1, ord("s")) and not each.format_spec
        else each
        for each in node.values
    ]
    operands = _all(values, reader, "string")
    if not operands:
        return None
    return operands[0] if len(operands) == 1 else _joined(operands, "&", STRING)


def _frame(node: ast.expr, reader: Reader) -> Rendered | None:
    """A DataFrame: its reference tells its size."""
    rendered = render(node, reader) if isinstance(node, ast.Name) else None
    return (
        Rendered(rendered.text, COUNT, _relied(rendered))
        if rendered and rendered.kind.name == "frame"
        else None
    )


def _length(node: ast.Call, reader: Reader) -> Rendered | None:
    if reader.meaning(node.func) is not len or len(node.args) != 1 or node.keywords:
        return None
    frame = _frame(node.args[0], reader)
    return frame and frame._replace(text=f"{frame.text}.rows")


def _empty(node: ast.Attribute, reader: Reader) -> Rendered | None:
    frame = _frame(node.value, reader) if node.attr == "empty" else None
    if frame is None:
        return None
    return Rendered(
        f"{frame.text}.rows = 0 or {frame.text}.columns = 0", BOOLEAN, frame.promises, whole=False
    )


# --- comparisons


def _compare(node: ast.Compare, reader: Reader) -> Rendered | None:
    """Also of several: reading a variable twice gives the same value."""
    sides = [node.left, *node.comparators]
    parts = []
    for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
        part = _comparison(left, operator, right, reader)
        if part is None:
            return None
        parts.append(part)
    return parts[0] if len(parts) == 1 else _joined(parts, "and", BOOLEAN)


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr, reader: Reader) -> Rendered | None:
    one, other = render(left, reader), render(right, reader)
    symbol = _SYMBOLS.get(type(operator))
    if one is None or other is None or symbol is None:
        return None
    if isinstance(operator, ast.Is | ast.IsNot):
        return _pair(one, symbol, other) if other.kind.name == "null" and not other.kind.promises else None
    ordered = isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    kinds = {one.kind.name, other.kind.name}
    if kinds == {"string"} or (kinds == {"number"} and (one.kind.exact or other.kind.exact)):
        return _pair(one, symbol, other, _relied(one, other))
    return None if ordered else _equality(left, one, symbol, right, other, reader)


def _pair(
    one: Rendered, symbol: str, other: Rendered, promises: frozenset[Promise] | None = None
) -> Rendered:
    relied = one.promises | other.promises if promises is None else promises
    return Rendered(f"{one.operand} {symbol} {other.operand}", BOOLEAN, relied, whole=False)


def _equality(
    left: ast.expr, one: Rendered, symbol: str, right: ast.expr, other: Rendered, reader: Reader
) -> Rendered | None:
    """``==`` of anything with a literal text or number. (For Python, True is 1 and False is 0.)"""
    if fold(left, reader) is not MISSING:
        left, one, right, other = right, other, left, one
    literal = fold(right, reader)
    if type(literal) is not str and (type(literal) not in (int, float) or one.kind.name in ("any", "frame")):
        return None  # a Decimal or an array of numpy's may equal a number
    if literal in (0, 1):
        twin = "true" if literal == 1 else "false"
        same, join = ("=", "or") if symbol == "=" else ("!=", "and")
        text = f"{one.operand} {same} {other.text} {join} {one.operand} {same} {twin}"
        return Rendered(text, BOOLEAN, _relied(one), whole=False)
    return _pair(one, symbol, other, None if isinstance(literal, str) else _relied(one))


_SYMBOLS: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "=",
    ast.NotEq: "!=",
    ast.Is: "=",
    ast.IsNot: "!=",
}

_RULES: Final[dict[type[ast.expr], Callable[[Any, Reader], Rendered | None]]] = {
    ast.BoolOp: _and_or,
    ast.UnaryOp: _not,
    ast.BinOp: _concatenation,
    ast.JoinedStr: _format,
    ast.Call: _length,
    ast.Attribute: _empty,
    ast.Compare: _compare,
}
