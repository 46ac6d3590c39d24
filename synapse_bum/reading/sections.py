"""Schemas: which keys a mapping has, what stands there when they are missing, and how a wrong one is refused.

Pure. Knows nothing of what the values mean: that is in `synapse_bum.reading.values`.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, cast, overload

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.quantities import kind_of, shown

T = TypeVar("T")

Path: TypeAlias = tuple[str, ...]
"""Keys from the outermost mapping down to the value."""

Reader: TypeAlias = Callable[[object, Path], T]
"""Turns what YAML or JSON delivered at a path into a value, or raises `Refusal`."""

_OPTION: Final = "synapse_bum.option"
_REQUIRED: Final = object()
_NEAR_ENOUGH: Final = 0.6


class Problem(Enum):
    """Why a mapping was refused."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    INVALID = "invalid"


class Refusal(Exception):  # noqa: N818 - it is an answer to whoever wrote the mapping
    """What was given is not what the schema says.

    Attributes:
        problem: of which kind.
        path: to the key.
    """

    def __init__(self, problem: Problem, path: Path, remedy: str = "", *, elsewhere: tuple[Path, ...] = ()) -> None:
        """Takes what `sentence` will say.

        Args:
            problem: of which kind.
            path: to the key.
            remedy: what would be right.
            elsewhere: for an unknown key, where it would be known.
        """
        super().__init__(problem.value, path, remedy)
        self.problem = problem
        self.path = path
        self._remedy = remedy
        self._elsewhere = elsewhere

    def sentence(self, name: Callable[[Path], str]) -> str:
        """Says what is wrong and what would be right.

        Args:
            name: writes a path for the reader, for example `config.scanner.timeout`.
        """
        if self.problem is Problem.MISSING:
            return f"missing required key `{name(self.path)}`"
        if self.problem is Problem.INVALID:
            return f"`{name(self.path)}`: {self._remedy}"
        places = " or ".join(f"`{name(place)}`" for place in self._elsewhere)
        return f"unknown key `{name(self.path)}`; " + (f"did you mean {places}?" if places else self._remedy)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Option:
    key: str | None
    read: Reader[Any]
    schema: type | None
    """The class of a nested section, so that a key at the wrong level can be found."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Section:
    """Reader of a nested section. A class, so that `option` can see which one."""

    schema: type

    def __call__(self, value: object, path: Path) -> Any:  # noqa: ANN401 - typed by `section`
        return _read_section(self.schema, value, path, _key_paths(self.schema, path))


@overload
def option(reader: Reader[T], *, default: None, key: str | None = None) -> T | None: ...
@overload
def option(reader: Reader[T], *, default: object = ..., key: str | None = None) -> T: ...
def option(reader: Reader[Any], *, default: object = _REQUIRED, key: str | None = None) -> Any:
    """Declares one option of a configuration class.

    Args:
        reader: what the value must be.
        default: as an operator would write it; it goes through the reader once, when the class is made. With None
            the option may be left out, empty or `null`, and is None then. Without a default the key must be there.
        key: the key in YAML where it differs from the attribute's name.
    """
    schema = reader.schema if isinstance(reader, _Section) else None
    metadata = {_OPTION: _Option(key, reader, schema)}
    if default is _REQUIRED:
        return attr.ib(kw_only=True, metadata=metadata)
    value = None if default is None else reader(default, ("default",))
    return attr.ib(default=value, kw_only=True, metadata=metadata)


def read(schema: type[T], raw: object) -> T:
    """Reads a mapping.

    Args:
        schema: an attrs class whose attributes are made by `option`. Its `__attrs_post_init__` may raise `ConfigError`
            with a message and a path relative to that class, for contradictions.
        raw: the mapping; None means all defaults.

    Raises:
        Refusal: an unknown key, a missing key, a wrong type or value.
    """
    return _read_section(schema, raw, (), _key_paths(schema, ()))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Written:
    """One option as it is in force.

    Attributes:
        path: its keys, from the outermost mapping down.
        value: what was read.
        is_default: whether it would be the same without the key.
    """

    path: Path
    value: object
    is_default: bool


def written(config: object, path: Path = ()) -> Iterator[Written]:
    """Yields every option of an object that `read` has made, those of nested sections too.

    Args:
        config: an object of a schema. What is no option of it is left out.
        path: that leads to it.
    """
    for field in attr.fields(cast("Any", type(config))):
        declared: _Option | None = field.metadata.get(_OPTION)
        if declared is None:
            continue
        value, here = getattr(config, field.name), (*path, _key_of(field))
        if declared.schema is not None and value is not None:
            yield from written(value, here)
        else:
            yield Written(here, value, value == field.default)


def section(schema: type[T]) -> Reader[T]:
    """Reads a nested section; empty means all defaults of that section."""
    return cast("Reader[T]", _Section(schema))


def fail(path: Path, message: str) -> NoReturn:
    """Refuses a value, from inside a reader.

    Args:
        path: of the value.
        message: says what would be right, for example "must be `true` or `false`".

    Raises:
        Refusal: always.
    """
    raise Refusal(Problem.INVALID, path, message)


def _read_section(schema: type[T], raw: object, path: Path, key_paths: Mapping[str, tuple[Path, ...]]) -> T:
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        fail(path, f"must be a mapping of options, not {kind_of(raw)}")
    fields = {_key_of(field): field for field in attr.fields(cast("Any", schema))}
    for key in raw:
        if not isinstance(key, str):
            fail(path, f"key {shown(key)} must be text, not {kind_of(key)}")
        if key not in fields:
            _fail_unknown(key, path, tuple(fields), key_paths)
    values: dict[str, object] = {}
    for key, field in fields.items():
        if key in raw:
            values[field.name] = _read_option(field, raw[key], (*path, key), key_paths)
        elif field.default is attr.NOTHING:
            raise Refusal(Problem.MISSING, (*path, key))
    try:
        return schema(**values)
    except ConfigError as e:
        raise Refusal(Problem.INVALID, (*path, *(e.path or ())), e.msg) from e.__cause__


def _read_option(
    field: "attr.Attribute[Any]", value: object, path: Path, key_paths: Mapping[str, tuple[Path, ...]]
) -> object:
    declared: _Option = field.metadata[_OPTION]
    if value is None and field.default is None:
        return None
    if declared.schema is not None:
        return _read_section(declared.schema, value, path, key_paths)
    if value is None:
        fail(path, "is empty (null); give a value or leave the key out")
    return declared.read(value, path)


def _key_of(field: "attr.Attribute[Any]") -> str:
    declared: _Option = field.metadata[_OPTION]
    return declared.key or field.name


def _key_paths(schema: type, path: Path) -> dict[str, tuple[Path, ...]]:
    """All keys below a section with every place where they are valid."""
    places: dict[str, tuple[Path, ...]] = {}
    for field in attr.fields(cast("Any", schema)):
        key = _key_of(field)
        places[key] = (*places.get(key, ()), (*path, key))
        nested: type | None = field.metadata[_OPTION].schema
        if nested is not None:
            for inner, found in _key_paths(nested, (*path, key)).items():
                places[inner] = (*places.get(inner, ()), *found)
    return places


def _fail_unknown(key: str, path: Path, valid: tuple[str, ...], key_paths: Mapping[str, tuple[Path, ...]]) -> NoReturn:
    near = nearest(key, valid)
    if near is not None:
        raise Refusal(Problem.UNKNOWN, (*path, key), f"did you mean `{near}`?")
    if key in key_paths:
        raise Refusal(Problem.UNKNOWN, (*path, key), elsewhere=key_paths[key])
    listed = ", ".join(f"`{name}`" for name in sorted(valid)) or "none"
    raise Refusal(Problem.UNKNOWN, (*path, key), f"valid keys here: {listed}")


def nearest(word: str, valid: tuple[str, ...]) -> str | None:
    """Returns the valid word that somebody most likely meant, or None when nothing is near."""
    folded = {name.lower(): name for name in valid}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=_NEAR_ENOUGH)
    return folded[found[0]] if found else None
