"""What the syntax tree of a cell says: what is assigned, what is changed in place, and what may be."""

import ast
import re
from typing import Any, Final, NamedTuple

from nbflow.jupyter.bytecode import Position


class Touch(NamedTuple):
    """A method call that may change the object that it is called on."""

    name: str
    call: str
    line: int


_CHANGING: Final = {
    *("add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft"),
    *("fill", "fit", "insert", "intersection_update", "partial_fit", "pop", "popitem", "popleft", "put"),
    *("remove", "resize", "reverse", "rotate", "setdefault", "setflags", "sort"),
    *("symmetric_difference_update", "update"),
}
"""Methods that change their object, in Python's, numpy's, pandas' and scikit-learn's types."""

_HARMLESS: Final = (
    *("close", "debug", "describe", "error", "flush", "head", "hist", "info", "plot", "print", "save"),
    *("show", "tail", "to_", "warning", "write"),
)
"""How the names begin of methods that are called for something else than changing their object."""

_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Text(ast.NodeVisitor):
    """Collects what is written and touched, with the positions of the names."""

    def __init__(self, source: str, tree: ast.Module) -> None:
        self.written: list[tuple[Position, str, bool]] = []
        """Position, name, and whether it is a change in place."""
        self.touched: list[tuple[Position, Touch]] = []
        self.quoted: list[str] = []
        """Names in pandas' own way of naming variables: ``df.query("x > @limit")``."""
        self._source = source
        self._last = tree.body[-1] if tree.body else None
        self._inner = 0
        """How deep in functions and classes: what is assigned there is theirs."""
        self.visit(tree)

    def visit(self, node: ast.AST) -> None:
        inner = isinstance(node, _SCOPES)
        self._inner += inner
        super().visit(node)
        self._inner -= inner

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)  # its target is a variable of its own
        for condition in node.ifs:
            self.visit(condition)

    def visit_For(self, node: ast.For) -> None:
        self._change(node.target)
        for child in (node.iter, *node.body, *node.orelse):
            self.visit(child)

    def visit_withitem(self, node: ast.withitem) -> None:
        self.visit(node.context_expr)
        if node.optional_vars is not None:
            self._change(node.optional_vars)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.generic_visit(node)

    def visit_TypeAlias(self, node: Any) -> None:  # Python 3.12's `type Row = …`: no data
        self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._assign(node, node.id)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._assign(node, node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._assign(node, node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._assign(node, node.rest)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._change(node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._change(node)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if node is not self._last and isinstance(node.value, ast.Call):
            function = node.value.func
            known = (*_HARMLESS, *_CHANGING)
            if isinstance(function, ast.Attribute) and not function.attr.startswith(known):
                self._touch(node.value)  # its result is thrown away, so it is called for what it does
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            inplace = any(
                each.arg == "inplace" and isinstance(each.value, ast.Constant) and each.value.value is True
                for each in node.keywords
            )
            if inplace or node.func.attr in _CHANGING:
                self._touch(node)
            if node.func.attr in ("query", "eval"):
                texts = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
                self.quoted += [name for text in texts for name in re.findall(r"@([^\W\d]\w*)", str(text))]
        self.generic_visit(node)

    def _assign(self, node: ast.Name | ast.pattern, name: str | None) -> None:
        if name is not None and not self._inner:
            self.written.append(((node.lineno, node.col_offset), name, False))

    def _change(self, target: ast.expr) -> None:
        """``name[…]``, ``name.attribute`` and the like where they are targets; names themselves are passed over."""
        for node in ast.walk(target):
            if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
                root = _root(node)
                if root is not None:
                    self.written.append(((root.lineno, root.col_offset), root.id, True))

    def _touch(self, call: ast.Call) -> None:
        root = _root(call.func)
        if root is not None:
            text = (ast.get_source_segment(self._source, call.func) or "").split("\n")[0] + "(…)"
            self.touched.append(((root.lineno, root.col_offset), Touch(root.id, text, call.lineno)))


def _root(node: ast.expr) -> ast.Name | None:
    """``name`` of ``name.a["b"].c``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node if isinstance(node, ast.Name) else None
