# SPDX-License-Identifier: GPL-2.0-only
"""Checks of what people and guests write against the JSON schemas in ``workflow/schemas``."""

import copy
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from carveout.common.errors import CarveoutError

_SCHEMA_FOLDER = Path(__file__).parents[2] / "schemas"
_SHARED = ("kernels", "statements")


def load_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    A file that cannot be read or parsed is an error of one line.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CarveoutError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise CarveoutError(f"{path}: wanted YAML, found: {said}") from error


def check(instance: Any, schema: str, where: str) -> None:
    """Check ``instance`` against ``<schema>.schema.yaml`` and fill in the schema's defaults.

    Args:
        instance: what was read; missing keys that have a default are added to it.
        schema: the schema's name, such as ``config``.
        where: the file that the instance comes from, for the error.

    Raises:
        CarveoutError: one line that names the file, the key, what was wanted and what was found.
    """
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
def _validator(schema: str) -> Draft202012Validator:
    shared = {  # others refer to their $defs
        f"{name}.schema.yaml": Resource[Any].from_contents(_schema(name)) for name in _SHARED
    }
    registry = Registry[Any]().with_resources(shared.items())
    return Draft202012Validator(_schema(schema), registry=registry)


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
    key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    if error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(cast(dict[str, Any], error.instance)) - set(known))
        return f"key {key}: unknown key {', '.join(unknown)}; known are {', '.join(known)}"
    return f"key {key}: {error.message}"
