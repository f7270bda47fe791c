# SPDX-License-Identifier: GPL-2.0-only
"""What code a rule depends on: read from the imports of its entry point, never listed by hand.

Wording is left out of a digest: comments, docstrings and the text of errors decide nothing, and no
trial is made anew for them.
"""

import ast
import atexit
import contextlib
import functools
import hashlib
import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from carveout.common.cache import cache_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of_json
from carveout.common.schemas import load_sealed, write_sealed

PACKAGE_PARENT = Path(__file__).parents[2]
_MOST_KEPT = 2000

# A line from 1 and a column from 0; a stretch from one to another, and what stands in its place.
_Place = tuple[int, int]
_LeftOut = tuple[_Place, _Place, str]


def code_digest(*names: str) -> str:
    """Return the digest, in hex, of what modules do, with all modules that they import.

    Args:
        names: of modules below `carveout`, such as `carveout.boots.cell_run`.
    """
    modules = modules_of(*names)
    return sha256_of_json([[name, _facts_of(_source(name))["meaning"]] for name in modules])


def modules_of(*names: str) -> list[str]:
    """Return modules with all of this package that they import, directly or not, by name."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return sorted(found)


def meaning_of(source: str) -> str:
    """Return Python source without comments, docstrings, blank lines and the words of errors.

    What is left does not depend on the version of Python that reads it.
    """
    lines = [*source.splitlines(keepends=True), ""]  # the end is a place too
    tree = ast.parse(source)
    left_out = sorted([*_comments(source), *_blank_lines(tree, lines), *_wordings(tree, lines)])
    kept, place = [], (1, 0)
    for start, end, instead in left_out:
        if start >= place:
            kept += [_between(lines, place, start), instead]
            place = end
    kept.append(_between(lines, place, (len(lines), 0)))
    return "".join(kept)


def _imports(name: str) -> list[str]:
    """Return the modules of this package that a module imports, packages on the way included."""
    package = name.partition(".")[0]
    parents = [name.rsplit(".", count)[0] for count in range(1, name.count("."))]
    wanted = (w for w in _facts_of(_source(name))["imports"] if w.partition(".")[0] == package)
    return [module for module in (*parents, *filter(_is_module, wanted)) if module != name]


def _names_imported(tree: ast.AST) -> Iterator[str]:
    """Yield what may be modules that are imported: of names, their modules as well."""
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _facts_of(source: str) -> Mapping[str, Any]:
    """Return the digest of what a source means, and the names that it imports.

    To read all sources takes two seconds of a processor, each time that a workflow is planned: what
    was read once is kept in the cache, by the digest of the source.
    """
    key = hashlib.sha256(source.encode()).hexdigest()
    known = _known()
    if key not in known:
        meaning = hashlib.sha256(meaning_of(source).encode()).hexdigest()
        known[key] = {"meaning": meaning, "imports": [*_names_imported(ast.parse(source))]}
        atexit.unregister(_keep)
        atexit.register(_keep)
    return known[key]


@functools.cache
def _known() -> dict[str, Mapping[str, Any]]:
    try:
        facts: dict[str, Mapping[str, Any]] = load_sealed(_kept(), "sources")["facts"]
        return facts
    except CarveoutError:
        return {}


def _keep() -> None:
    """Keep what was read; whoever cannot reads it again."""
    with contextlib.suppress(OSError, CarveoutError):
        facts = dict(list(_known().items())[-_MOST_KEPT:])
        write_sealed(_kept(), {"facts": facts})


def _kept() -> Path:
    reads_so = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return cache_folder("sources") / f"{reads_so}.json"


def _source(name: str) -> str:
    return _path(name).read_text(encoding="utf-8")


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that can be run: not those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _executed(node)


def _path(name: str) -> Path:
    return _place(PACKAGE_PARENT, name)[0]


def _is_module(name: str) -> bool:
    return _place(PACKAGE_PARENT, name)[1]


@functools.cache
def _place(parent: Path, name: str) -> tuple[Path, bool]:
    """Return where a module lies if it is one, and whether it is."""
    path = parent.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path, path.is_file()


def _comments(source: str) -> Iterator[_LeftOut]:
    """Yield where comments stand, with what stands between them and the code before."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            before = token.line[:column].rstrip()
            yield ((line, len(before)), token.end, "") if before else ((line, 0), (line + 1, 0), "")


def _blank_lines(tree: ast.AST, lines: Sequence[str]) -> Iterator[_LeftOut]:
    """Yield where blank lines stand that no text goes over."""
    texts = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) or _is_text(node)
        for line in range(node.lineno, node.end_lineno or 0)
    }
    for number, line in enumerate(lines, start=1):
        if line and not line.strip() and number not in texts:
            yield (number, 0), (number + 1, 0), ""


def _wordings(tree: ast.AST, lines: Sequence[str]) -> Iterator[_LeftOut]:
    """Yield where docstrings and the words of raised errors stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for argument in node.exc.args:
                yield from _words(argument, lines)
        # A string that is an expression of its own: a docstring, of whatever it is.
        elif isinstance(node, ast.Expr) and _is_text(node.value):
            (line, _), (last_line, _) = _span(node, lines)
            yield (line, 0), (last_line + 1, 0), ""


def _words(argument: ast.expr, lines: Sequence[str]) -> Iterator[_LeftOut]:
    """Yield where texts stand in an argument; of a text with values in it, the values count."""
    for node in ast.walk(argument):
        if isinstance(node, ast.JoinedStr):
            values = [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
            yield *_span(node, lines), " ".join(map(ast.unparse, values))
        elif _is_text(node):
            yield *_span(node, lines), ""


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _span(node: ast.expr | ast.Expr, lines: Sequence[str]) -> tuple[_Place, _Place]:
    """Return where a node stands; `ast` counts columns in bytes, all else here in characters."""

    def place(line: int, column_bytes: int) -> _Place:
        return line, len(lines[line - 1].encode()[:column_bytes].decode())

    end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
    return place(node.lineno, node.col_offset), place(*end)


def _between(lines: Sequence[str], start: _Place, end: _Place) -> str:
    """Return the text from one place to another: lines count from 1, columns are of characters."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return "".join([lines[start[0] - 1][start[1] :], *lines[start[0] : end[0] - 1], last])
