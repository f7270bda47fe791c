# SPDX-License-Identifier: GPL-2.0-only
"""Expressions over the columns of a table, as a person writes them into a YAML file.

The grammar is a small part of Python's, read by Python's own parser and never run by it: the names
of columns, numbers, texts, arithmetic, comparisons, `in`, `and`, `or`, `not` and a few functions.
pandas computes them, whole columns at once. Whatever cannot be told, since something is not known,
is null.
"""

import ast
import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB, KIB, MIB
from carveout.tables.schema import BOOLEAN, NUMBER

# What a value is.
NUMBERS, TEXTS, TRUTHS = "number", "text", "yes or no"
# Names that stand for the same in every table.
CONSTANTS: Mapping[str, int] = {"KIB": KIB, "MIB": MIB, "GIB": GIB}
FUNCTIONS: Mapping[str, str] = {
    "abs": "abs(NUMBER)",
    "min": "min(NUMBER, NUMBER)",
    "max": "max(NUMBER, NUMBER)",
    "known": "known(COLUMN)",
    "contains": 'contains(COLUMN, "TEXT")',
}
# Comparisons of text keep null apart with this one, and with no other.
TEXT = pd.StringDtype("python", na_value=pd.NA)
_MOST_LETTERS = 1000

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_ORDERS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITIES: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SETS = (ast.In, ast.NotIn)


@dataclass(frozen=True)
class Expression:
    """An expression that was checked.

    Attributes:
        text: as it was written.
        kind: what its values are.
        names: of the columns that it needs, in the order in which it names them.
    """

    text: str
    kind: str
    names: tuple[str, ...]
    _tree: ast.expr

    def values(self, frame: pd.DataFrame) -> "pd.Series[Any]":
        """Return the expression's value in each row of a frame that has its columns."""
        value = _Values(frame).visit(self._tree)
        dtype = {NUMBERS: NUMBER, TRUTHS: BOOLEAN}.get(self.kind, TEXT)
        series = pd.Series(value, index=frame.index).astype(dtype)
        # What is divided by nothing is not known.
        return (
            series.mask(series.isin([float("inf"), -float("inf")])) if dtype is NUMBER else series
        )

    def holds(self, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Return the rows in which the expression is true; where it is not known it is not."""
        return self.values(frame).fillna(value=False).astype(bool)

    def misses(self, frame: pd.DataFrame) -> "list[pd.Series[float]]":
        """Return by how much each row misses what has to hold, of one comparison after another.

        Of those of numbers, all of which have to hold; 0 where one does, or is not known.
        """
        values = _Values(frame)
        return [
            values.miss(*pair)
            for part in _conjuncts(self._tree)
            for pair in _pairs_of(part)
            if isinstance(pair[1], (*_ORDERS, ast.Eq)) and values.are_numbers(pair[0], pair[2])
        ]


def parse(text: str, kinds: Mapping[str, str], kind: str, where: str) -> Expression:
    """Return an expression.

    Args:
        text: as it is written.
        kinds: what the columns that it may name are, by their names.
        kind: what its values have to be.
        where: file, statement and key, for errors.

    Raises:
        CarveoutError: it is none, names what is not there, or mixes what cannot be mixed.
    """
    try:
        if len(text) > _MOST_LETTERS:
            raise _RefusedError(f"{len(text)} letters, wanted at most {_MOST_LETTERS}")
        tree = ast.parse(" ".join(text.split()), mode="eval").body
        found = _Kinds(kinds).visit(tree)
        if found != kind:
            raise _RefusedError(f"its value is a {found}, wanted a {kind}")
    except _RefusedError as error:
        raise CarveoutError(f"{where}: {text!r}: {error}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = getattr(error, "msg", None) or str(error) or "too deep"
        raise CarveoutError(f"{where}: wanted an expression, found {text!r}: {said}") from None
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in kinds]
    return Expression(text, kind, tuple(dict.fromkeys(names)), tree)


class _RefusedError(Exception):
    """What is wrong with an expression."""


class _Kinds(ast.NodeVisitor):
    """Tells what the value of an expression is, and refuses whatever is not of the language."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds

    def generic_visit(self, node: ast.AST) -> str:
        """Refuse what no other method knows."""
        raise _RefusedError(
            f"{ast.unparse(node)!r} is not of the language: columns, numbers, texts, + - * / %, "
            f"comparisons, in [...], and, or, not, {', '.join(FUNCTIONS.values())}"
        )

    def visit_Constant(self, node: ast.Constant) -> str:
        """Return what a number or a text is."""
        kind = {int: NUMBERS, float: NUMBERS, str: TEXTS}.get(type(node.value))
        return kind or self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> str:
        """Return what a column is."""
        if node.id in CONSTANTS:
            return NUMBERS
        if node.id not in self._kinds:
            raise _RefusedError(
                f"unknown column {node.id}; there are {', '.join(sorted(self._kinds))}"
            )
        return self._kinds[node.id]

    def visit_BinOp(self, node: ast.BinOp) -> str:
        """Return what an arithmetic operation gives."""
        if type(node.op) not in _ARITHMETIC:
            return self.generic_visit(node)
        return self._all_are(NUMBERS, [node.left, node.right])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> str:
        """Return what `-` and `not` give."""
        match node.op:
            case ast.USub():
                return self._all_are(NUMBERS, [node.operand])
            case ast.Not():
                return self._all_are(TRUTHS, [node.operand])
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> str:
        """Return what `and` and `or` give."""
        return self._all_are(TRUTHS, node.values)

    def visit_Compare(self, node: ast.Compare) -> str:
        """Return what comparisons give, also several in a row."""
        for one, op, other in _pairs_of(node):
            self._check_comparison(one, op, other)
        return TRUTHS

    def visit_Call(self, node: ast.Call) -> str:
        """Return what a function gives."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS or node.keywords:
            return self.generic_visit(node)
        match name, node.args:
            case ("abs", [_]) | ("min" | "max", [_, _]):
                return self._all_are(NUMBERS, node.args)
            case "known", [ast.Name() as column] if self.visit(column):
                return TRUTHS
            case "contains", [ast.Name() as column, ast.Constant(value=str())]:
                self._all_are(TEXTS, [column])
                return TRUTHS
        raise _RefusedError(f"wanted {FUNCTIONS[name]}, found {ast.unparse(node)}")

    def _all_are(self, wanted: str, nodes: Sequence[ast.expr]) -> str:
        for node in nodes:
            found = self.visit(node)
            if found != wanted:
                raise _RefusedError(f"{ast.unparse(node)} is a {found}, wanted a {wanted}")
        return wanted

    def _check_comparison(self, one: ast.expr, op: ast.cmpop, other: ast.expr) -> None:
        left = str(self.visit(one))
        if isinstance(op, _SETS):
            if not isinstance(other, ast.List) or not all(
                isinstance(item, ast.Constant) for item in other.elts
            ):
                raise _RefusedError(
                    f"wanted a list of values after `in`, found {ast.unparse(other)}"
                )
            self._all_are(left, other.elts)
        elif type(op) in _ORDERS:
            self._all_are(NUMBERS, [one, other])
        elif type(op) in _EQUALITIES:
            self._all_are(left, [other])
        else:
            raise _RefusedError("wanted a comparison by == != < <= > >= or in")


class _Values(ast.NodeVisitor):
    """Computes an expression that was checked: a column of a frame, or a constant."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def visit_Constant(self, node: ast.Constant) -> Any:
        """Return the constant."""
        return node.value

    def visit_Name(self, node: ast.Name) -> Any:
        """Return a column."""
        return CONSTANTS[node.id] if node.id in CONSTANTS else self._frame[node.id]

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """Return what an arithmetic operation gives."""
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, (ast.Div, ast.Mod)):  # by a constant 0 as by a column's: not known
            right = self._numbers(right)
        return _ARITHMETIC[type(node.op)](left, right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        """Return what `-` and `not` give."""
        value = self.visit(node.operand)
        return -value if isinstance(node.op, ast.USub) else ~self._truths(value)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        """Return what `and` and `or` give."""
        both = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        return functools.reduce(both, [self._truths(self.visit(each)) for each in node.values])

    def visit_Compare(self, node: ast.Compare) -> Any:
        """Return what comparisons give: all of those in a row."""
        return functools.reduce(operator.and_, [self._compared(*pair) for pair in _pairs_of(node)])

    def visit_Call(self, node: ast.Call) -> Any:
        """Return what a function gives."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        first, *others = [self.visit(argument) for argument in node.args]
        if name == "abs":
            return abs(first)
        if name == "known":
            return first.notna()
        if name == "contains":
            return first.str.contains(others[0], regex=False)
        both = pd.concat([self._numbers(value) for value in (first, *others)], axis="columns")
        return both.min(axis=1, skipna=False) if name == "min" else both.max(axis=1, skipna=False)

    def are_numbers(self, *nodes: ast.expr) -> bool:
        """Return whether all of some expressions are numbers."""
        values = (pd.Series(self.visit(node), index=self._frame.index) for node in nodes)
        return all(is_numeric_dtype(each) and not is_bool_dtype(each) for each in values)

    def miss(self, one: ast.expr, op: ast.cmpop, other: ast.expr) -> "pd.Series[float]":
        """Return by how much a comparison of numbers is missed; 0 where it is not."""
        over = self._numbers(self.visit(one)) - self._numbers(self.visit(other))
        if isinstance(op, ast.Eq):
            over = over.abs()
        elif isinstance(op, (ast.Gt, ast.GtE)):
            over = -over
        return over.clip(lower=0).fillna(0)

    def _compared(self, one: ast.expr, op: ast.cmpop, other: ast.expr) -> Any:
        left = self.visit(one)
        if isinstance(op, _SETS) and isinstance(other, ast.List):
            column = pd.Series(left, index=self._frame.index)
            within = column.isin([self.visit(item) for item in other.elts]).astype(BOOLEAN)
            within = within.mask(column.isna())
            return within if isinstance(op, ast.In) else ~within
        compare = _ORDERS.get(type(op)) or _EQUALITIES[type(op)]
        return self._truths(compare(left, self.visit(other)))

    def _truths(self, value: Any) -> "pd.Series[bool]":
        return pd.Series(value, index=self._frame.index).astype(BOOLEAN)

    def _numbers(self, value: Any) -> "pd.Series[float]":
        return pd.Series(value, index=self._frame.index).astype(NUMBER)


def _conjuncts(node: ast.expr) -> Iterator[ast.Compare]:
    """Yield the comparisons all of which have to hold where an expression does."""
    if isinstance(node, ast.Compare):
        yield node
    elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for each in node.values:
            yield from _conjuncts(each)


def _pairs_of(node: ast.Compare) -> Iterator[tuple[ast.expr, ast.cmpop, ast.expr]]:
    """Yield each comparison of several in a row."""
    yield from zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
