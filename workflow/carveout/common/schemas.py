# SPDX-License-Identifier: GPL-2.0-only
"""Checks of what people, guests and carveout write against the schemas in ``workflow/schemas``."""

import copy
import functools
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from yaml.constructor import ConstructorError

from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of_json, write_json_atomically

_SCHEMA_FOLDER = Path(__file__).parents[2] / "schemas"
_SHARED = ("kernels", "statements")
# Far more than any file has.
_MOST_VALUES = 1_000_000
_MOST_DEPTH = 60
_MOST_SAID = 300
# Of a number or a date in YAML; Python takes very long over long ones.
_MOST_CHARACTERS = 100
# Python does not write a number of more than 4300 digits, not even into an error.
_MOST_BITS = 10_000
_TEXT_TAG = "tag:yaml.org,2002:str"
_ANEW = "remove it, and the next run makes it anew"
_SEAL = "seal"


def _is_integer(_: Any, value: Any) -> bool:
    """Return whether a whole number is written as one: 3.0 is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    """Return whether it is a number: NaN and infinity are none."""
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


def _check_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """Yield an error where a text does not follow a pattern, whose `$` is the text's very end."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_VALIDATOR = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _check_pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


class _Loader(yaml.CSafeLoader):
    """Builds values; one that is not what its tag says is an error of YAML, as all others are."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node."""
        is_short = isinstance(node, yaml.CollectionNode) or len(node.value) <= _MOST_CHARACTERS
        if not is_short and node.tag != _TEXT_TAG:
            found = f"a value of {len(node.value)} characters that is no text"
            raise ConstructorError(None, None, found, node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError) as error:
            found = f"{node.value!r}, which is no {node.tag.rpartition(':')[2]}"
            raise ConstructorError(None, None, found, node.start_mark) from error


def load_text(path: Path, remedy: str = "save it as UTF-8") -> str:
    """Return the content of a text file.

    A file that cannot be read, or that is no UTF-8, is an error of one line.

    Args:
        path: the file.
        remedy: what to do about one that is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CarveoutError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise CarveoutError(f"{path}: wanted text in UTF-8, found: {error}; {remedy}") from error


def load_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    A file that cannot be read or parsed is an error of one line.
    """
    return parse_yaml(load_text(path), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Return what YAML says.

    What cannot be parsed is an error of one line.

    Args:
        text: the YAML.
        where: the file that it comes from, for the error.
    """
    try:
        _check_depth(text, where)
        loader = _Loader(text)
        root = loader.get_single_node()
        check_extent(root, where)
        return root and loader.construct_document(root)
    except (yaml.YAMLError, UnicodeError) as error:
        said = one_line(" ".join(str(error).split()))
        raise CarveoutError(f"{where}: wanted YAML, found: {said}") from error


def load_made(path: Path, definition: str, remedy: str = _ANEW) -> Any:
    """Return the content of a JSON file that carveout wrote, and that a list has the digest of.

    A damaged file is an error of one line.

    Args:
        path: the file.
        definition: what it is to hold, in ``made.schema.yaml``.
        remedy: what to do about a damaged one.
    """
    content = _load_json(path, remedy)
    _check_made(content, definition, path, remedy)
    return content


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file aside and rename it, for `load_sealed` to read.

    Args:
        path: the file.
        content: what follows its definition in ``made.schema.yaml``.
    """
    write_json_atomically(path, {**content, _SEAL: sha256_of_json(content)})


def load_sealed(path: Path, definition: str, remedy: str = _ANEW) -> dict[str, Any]:
    """Return what `write_sealed` wrote; the arguments are those of `load_made`.

    A damaged file, of which one bit may have flipped, is an error of one line.
    """
    content = _load_json(path, remedy)
    seal = content.pop(_SEAL, None) if isinstance(content, dict) else None
    if seal != sha256_of_json(content):
        raise _damaged(path, f"content that its {_SEAL} is not the sha256 of", remedy)
    _check_made(content, definition, path, remedy)
    return cast(dict[str, Any], content)


def _load_json(path: Path, remedy: str) -> Any:
    text = load_text(path, remedy)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"no JSON: {one_line(str(error))}", remedy) from error


def _check_made(content: Any, definition: str, path: Path, remedy: str) -> None:
    if problem := matches(content, "made", definition):
        raise _damaged(path, problem, remedy)


def _damaged(path: Path, found: str, remedy: str) -> CarveoutError:
    return CarveoutError(f"{path}: wanted it as carveout wrote it, found {found}; {remedy}")


def load_digest(path: Path) -> str:
    """Return the sha256 that carveout wrote into a file of its own, in hex.

    A damaged file is an error of one line.
    """
    found = load_text(path, _ANEW).strip()
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise CarveoutError(f"{path}: wanted a sha256 in hex, found {one_line(found)!r}; {_ANEW}")
    return found


def _check_depth(text: str, where: str) -> None:
    """Refuse YAML that is so deep that libyaml's stack would not do, without going deep itself."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH:
            raise CarveoutError(
                f"{where}: wanted values at most {_MOST_DEPTH} deep, found deeper ones"
            )


def check_extent(value: Any, where: str) -> None:
    """Refuse what is small as YAML and large when its aliases are followed, or which has no end.

    A number that is too long to be written is refused, too.

    Args:
        value: what was read, or the YAML node of it.
        where: the file that it comes from, for the error.
    """
    counts: dict[int, int] = {}

    def count(of: Any, depth: int) -> int:
        if isinstance(of, int) and of.bit_length() > _MOST_BITS:
            raise CarveoutError(
                f"{where}: wanted numbers of at most {_MOST_BITS} bits, found one of "
                f"{of.bit_length()}; is one of its numbers a text?"
            )
        if depth > _MOST_DEPTH:
            raise CarveoutError(
                f"{where}: wanted values at most {_MOST_DEPTH} deep, found an alias (*name) that "
                "contains itself, or deeper ones"
            )
        if id(of) not in counts:
            counts[id(of)] = 1 + sum(count(inner, depth + 1) for inner in _inner(of))
        return counts[id(of)]

    if (found := count(value, 0)) > _MOST_VALUES:
        raise CarveoutError(
            f"{where}: wanted at most {_MOST_VALUES} values, found {found}; "
            "do aliases (*name) stand for others many times over?"
        )


def _inner(value: Any) -> Iterator[Any]:
    """Yield what a value or a YAML node consists of."""
    if isinstance(value, yaml.MappingNode):
        yield from itertools.chain.from_iterable(value.value)
    elif isinstance(value, yaml.SequenceNode):
        yield from value.value
    elif isinstance(value, Mapping):
        yield from itertools.chain.from_iterable(value.items())
    elif isinstance(value, list):
        yield from value


def check(instance: Any, schema: str, where: str) -> None:
    """Check ``instance`` against ``<schema>.schema.yaml`` and fill in the schema's defaults.

    Args:
        instance: what was read; missing keys that have a default are added to it.
        schema: the schema's name, such as ``config``.
        where: the file that the instance comes from, for the error.

    Raises:
        CarveoutError: one line that names the file, the key, what was wanted and what was found.
    """
    check_extent(instance, where)
    error = best_match(_validator(schema).iter_errors(instance))
    if error is not None:
        raise CarveoutError(f"{where}: {_describe(error)}")
    _fill_defaults(instance, _schema(schema), _schema(schema))


def matches(instance: Any, schema: str, definition: str | None = None) -> str | None:
    """Return None if ``instance`` follows a schema, or its named definition, else what is wrong."""
    validator = _validator(schema)
    errors = (
        validator.iter_errors(instance)
        if definition is None
        else validator.descend(instance, {"$ref": f"#/$defs/{definition}"})
    )
    error = best_match(errors)
    return None if error is None else _describe(error)


@functools.cache
def _schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = load_yaml(_SCHEMA_FOLDER / f"{name}.schema.yaml")
    return content


@functools.cache
def _validator(schema: str) -> Any:
    shared = {  # others refer to their $defs
        f"{name}.schema.yaml": Resource[Any].from_contents(_schema(name)) for name in _SHARED
    }
    registry = Registry[Any]().with_resources(shared.items())
    return _VALIDATOR(_schema(schema), registry=registry)


def _fill_defaults(instance: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> None:
    """Add the keys that are missing and have a default, at every depth."""
    if not isinstance(instance, dict):
        return
    for key, subschema in schema.get("properties", {}).items():
        resolved = _resolve(subschema, root)
        if "default" in resolved:
            instance.setdefault(key, copy.deepcopy(resolved["default"]))
        if key in instance:
            _fill_defaults(instance[key], resolved, root)


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with what it refers to; what it says itself has the last word."""
    # Definitions in another file have no defaults.
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    return {**root.get("$defs", {}).get(name, {}), **schema}


def _describe(error: ValidationError) -> str:
    key = one_line(".".join(str(part) for part in error.absolute_path) or "(top level)")
    if error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known = set(error.schema.get("properties", {}))
        unknown = sorted(map(str, cast(dict[Any, Any], error.instance).keys() - known))
        names = ", ".join(sorted(known))
        return f"key {key}: unknown key {one_line(', '.join(unknown))}; known are {names}"
    return f"key {key}: {one_line(error.message)}"


def one_line(text: str) -> str:
    """Return what somebody wrote as a part of one line: short, and without control characters."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= _MOST_SAID else f"{shown[:_MOST_SAID]}..."
