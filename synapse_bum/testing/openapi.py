"""OpenAPI descriptions as tests use them: read, and turned into values that conform to them.

Knows the part of JSON Schema 2020-12 that our descriptions use, and refuses the rest, so that nothing is ignored in
silence. Whether a value conforms is better asked of `jsonschema`.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from hypothesis import strategies as st

Schema: TypeAlias = Mapping[str, Any]
"""A JSON schema without references."""

Formats: TypeAlias = Mapping[str, st.SearchStrategy[str]]
"""What values of a `format` are drawn from."""

_SAY_NOTHING: Final = {"description", "contentEncoding", "default", "maxLength"}
"""Keywords that a generator may leave out: `pattern` says the same."""

_LARGEST: Final = 2**53


def read_description(path: Path) -> dict[str, Any]:
    """Read a description; each `$ref` into itself is replaced by what it names, with its siblings merged into that.

    Raises:
        KeyError: a reference leads nowhere.
    """
    whole = yaml.safe_load(path.read_text())
    resolved: dict[str, Any] = _resolved(whole, whole)
    return resolved


def _resolved(node: Any, whole: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any YAML
    if isinstance(node, list):
        return [_resolved(item, whole) for item in node]
    if not isinstance(node, dict):
        return node
    siblings = {name: _resolved(value, whole) for name, value in node.items() if name != "$ref"}
    if "$ref" not in node:
        return siblings
    target: Any = whole
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return _merged(_resolved(target, whole), siblings)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def anything(max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Any JSON value."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-_LARGEST, _LARGEST)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=max_leaves,
    )


def conforming(schema: Schema, formats: Formats) -> st.SearchStrategy[Any]:
    """Values that conform to a schema.

    Args:
        schema: of `read_description`.
        formats: for each `format` in it.

    Raises:
        ValueError: the schema has a keyword that is not known here.
    """
    known = {key: value for key, value in schema.items() if key not in _SAY_NOTHING}
    if "const" in known:
        return st.just(known["const"])
    if "enum" in known:
        return st.sampled_from(known["enum"])
    if "anyOf" in known:
        return st.one_of([conforming(one, formats) for one in known["anyOf"]])
    kind = known.pop("type", None)
    if kind == "object":
        return _object(known, formats)
    if kind == "string":
        return _string(known, formats)
    if kind == "array":
        return _array(known)
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(known.get("minimum", -_LARGEST), known.get("maximum", _LARGEST))
    raise ValueError(f"this schema is not understood: {sorted(schema)}")


def _object(schema: dict[str, Any], formats: Formats) -> st.SearchStrategy[dict[str, Any]]:
    _expect(schema, {"properties", "required", "dependentRequired"})
    properties, required = schema.get("properties", {}), set(schema.get("required", []))
    values = {name: conforming(inner, formats) for name, inner in properties.items()}
    extra = st.dictionaries(st.text(max_size=8).filter(lambda name: name not in properties), anything(3), max_size=2)
    named = st.fixed_dictionaries(
        {name: values[name] for name in values if name in required},
        optional={name: values[name] for name in values if name not in required},
    )

    def complete(value: dict[str, Any]) -> bool:
        return all(
            set(others) <= set(value) for name, others in schema.get("dependentRequired", {}).items() if name in value
        )

    return st.builds(lambda more, value: {**more, **value}, extra, named.filter(complete))


def _string(schema: dict[str, Any], formats: Formats) -> st.SearchStrategy[str]:
    _expect(schema, {"pattern", "format"})
    if "format" in schema:
        return formats[schema["format"]]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].removeprefix("^").removesuffix("$"), fullmatch=True)
    return st.text(max_size=100)


def _array(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    _expect(schema, {"allOf"})
    needed = [one["contains"]["const"] for one in schema["allOf"]]
    return st.lists(st.text(max_size=8), max_size=2).flatmap(lambda more: st.permutations([*needed, *more]))


def _expect(schema: dict[str, Any], keywords: set[str]) -> None:
    unknown = set(schema) - keywords
    if unknown:
        raise ValueError(f"keywords that are not understood: {sorted(unknown)}")
