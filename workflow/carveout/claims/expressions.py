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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

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
        value = _value(self._tree, frame)
        dtype = {NUMBERS: NUMBER, TRUTHS: BOOLEAN}.get(self.kind, TEXT)
        series = pd.Series(value, index=frame.index).astype(dtype)
        # What is divided by nothing is not known.
        return series.mask(series.isin([float("inf"), -float("inf")])) if dtype is NUMBER else series

    def holds(self, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Return the rows in which the expression is true; where it is not known it is not."""
        return self.values(frame).fillna(value=False).astype(bool)


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
            raise _Refused(f"{len(text)} letters, wanted at most {_MOST_LETTERS}")
        tree = ast.parse(" ".join(text.split()), mode="eval").body
        found = _kind(tree, kinds)
        if found != kind:
            raise _Refused(f"its value is a {found}, wanted a {kind}")
    except _Refused as error:
        raise CarveoutError(f"{where}: {text!r}: {error}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = getattr(error, "msg", None) or str(error) or "too deep"
        raise CarveoutError(f"{where}: wanted an expression, found {text!r}: {said}") from None
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in kinds]
    return Expression(text, kind, tuple(dict.fromkeys(names)), tree)


class _Refused(Exception):
    """What is wrong with an expression."""


def _kind(node: ast.expr, kinds: Mapping[str, str]) -> str:
    """Return what the value of an expression is; refuse what is none."""
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float()):
            return NUMBERS
        case ast.Constant(value=str()):
            return TEXTS
        case ast.Name(id=name):
            return _kind_of_name(name, kinds)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _all_are(NUMBERS, [left, right], kinds)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _all_are(NUMBERS, [operand], kinds)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _all_are(TRUTHS, [operand], kinds)
        case ast.BoolOp(values=values):
            return _all_are(TRUTHS, values, kinds)
        case ast.Compare(left=left, ops=ops, comparators=others):
            for one, op, other in zip([left, *others], ops, others, strict=False):
                _check_comparison(one, op, other, kinds)
            return TRUTHS
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return _kind_of_call(name, arguments, kinds)
    raise _Refused(
        f"{ast.unparse(node)!r} is not of the language: columns, numbers, texts, + - * / %, "
        f"comparisons, in [...], and, or, not, {', '.join(FUNCTIONS.values())}"
    )


def _kind_of_name(name: str, kinds: Mapping[str, str]) -> str:
    if name in CONSTANTS:
        return NUMBERS
    if name not in kinds:
        raise _Refused(f"unknown column {name}; there are {', '.join(sorted(kinds))}")
    return kinds[name]


def _kind_of_call(name: str, arguments: list[ast.expr], kinds: Mapping[str, str]) -> str:
    match name, arguments:
        case ("abs", [_]) | ("min" | "max", [_, _]):
            return _all_are(NUMBERS, arguments, kinds)
        case "known", [ast.Name(id=column)] if _kind_of_name(column, kinds):
            return TRUTHS
        case "contains", [ast.Name() as column, ast.Constant(value=str())]:
            _all_are(TEXTS, [column], kinds)
            return TRUTHS
    raise _Refused(f"wanted {FUNCTIONS[name]}")


def _all_are(wanted: str, nodes: list[ast.expr], kinds: Mapping[str, str]) -> str:
    for node in nodes:
        if (found := _kind(node, kinds)) != wanted:
            raise _Refused(f"{ast.unparse(node)} is a {found}, wanted a {wanted}")
    return wanted


def _check_comparison(
    one: ast.expr, op: ast.cmpop, other: ast.expr, kinds: Mapping[str, str]
) -> None:
    left = _kind(one, kinds)
    if isinstance(op, _SETS):
        if not isinstance(other, ast.List) or not all(
            isinstance(item, ast.Constant) for item in other.elts
        ):
            raise _Refused(f"wanted a list of values after `in`, found {ast.unparse(other)}")
        _all_are(left, other.elts, kinds)
    elif type(op) in _ORDERS:
        _all_are(NUMBERS, [one, other], kinds)
    elif type(op) in _EQUALITIES:
        _all_are(left, [other], kinds)
    else:
        raise _Refused("wanted a comparison by == != < <= > >= or in")


def _value(node: ast.expr, frame: pd.DataFrame) -> Any:
    """Return the value of an expression that was checked: a column, or a constant."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return CONSTANTS[name] if name in CONSTANTS else frame[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _divided_or(op, _value(left, frame), _value(right, frame), frame)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, frame)
        case ast.UnaryOp(operand=operand):
            return ~_truths(_value(operand, frame), frame)
        case ast.BoolOp(op=op, values=values):
            both = operator.and_ if isinstance(op, ast.And) else operator.or_
            return functools.reduce(both, [_truths(_value(each, frame), frame) for each in values])
        case ast.Compare(left=left, ops=ops, comparators=others):
            pairs = zip([left, *others], ops, others, strict=False)
            return functools.reduce(
                operator.and_, [_compared(one, op, other, frame) for one, op, other in pairs]
            )
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _called(name, arguments, frame)
    raise AssertionError(f"{ast.unparse(node)} was not checked")


def _divided_or(op: ast.operator, left: Any, right: Any, frame: pd.DataFrame) -> Any:
    if isinstance(op, (ast.Div, ast.Mod)):  # a constant 0 divides to nothing known, as a column does
        right = pd.Series(right, frame.index).astype(NUMBER)
    return _ARITHMETIC[type(op)](left, right)


def _truths(value: Any, frame: pd.DataFrame) -> "pd.Series[bool]":
    return pd.Series(value, index=frame.index).astype(BOOLEAN)


def _compared(
    one: ast.expr, op: ast.cmpop, other: ast.expr, frame: pd.DataFrame
) -> "pd.Series[bool]":
    left = _value(one, frame)
    if isinstance(op, _SETS) and isinstance(other, ast.List):
        column = pd.Series(left, index=frame.index)
        within = column.isin([_value(item, frame) for item in other.elts]).astype(BOOLEAN)
        within = within.mask(column.isna())
        return within if isinstance(op, ast.In) else ~within
    compare = _ORDERS.get(type(op)) or _EQUALITIES[type(op)]
    return _truths(compare(left, _value(other, frame)), frame)


def _called(name: str, arguments: list[ast.expr], frame: pd.DataFrame) -> Any:
    first = _value(arguments[0], frame)
    if name == "abs":
        return abs(first)
    if name == "known":
        return first.notna()
    second = _value(arguments[1], frame)
    if name == "contains":
        return first.str.contains(second, regex=False)
    left, right = (pd.Series(value, frame.index).astype(NUMBER) for value in (first, second))
    is_left = _truths(left < right if name == "min" else left >= right, frame)
    return left.where(is_left.fillna(value=True), right).mask(is_left.isna())
