"""What an operator may rely on: a wrong configuration never starts, and the message says what would be right."""

from collections.abc import Mapping
from enum import Enum

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synapse.module_api.errors import ConfigError

from synapse_bum import config
from synapse_bum.config import SharedConfig, option, parse, section
from synapse_bum.quantities import DURATION_EXPECTED, Duration
from synapse_bum.reading import nearest


class Engine(Enum):
    CLAMD = "clamd"
    ICAP = "icap"


class Action(Enum):
    BLOCK = "block"
    REPORT = "report"


class Class(Enum):
    DEFAULT = "default"
    ENCRYPTED = "encrypted"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Scanner:
    engine: Engine = option(config.one_of(Engine), default="clamd")
    address: tuple[str, ...] = option(config.one_or_more(config.text), default="unix:/run/clamd.ctl")
    timeout_ms: int = option(config.duration_ms, default="60s", key="timeout")
    max_connections: int = option(config.integer(1, 64), default=8)
    password_path: str | None = option(config.absolute_path, default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Messages:
    lifetime: Duration = option(config.duration)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Module(SharedConfig):
    scanner: Scanner = option(section(Scanner), default={})
    messages: Messages | None = option(section(Messages), default=None)
    max_scan_size: int = option(config.size, default="100M")
    require_scan: bool = option(config.boolean, default=False)
    target: float = option(config.number(0, 1), default=0.999)
    heuristics: Mapping[Class, Action] = option(
        config.mapping_of(config.one_of(Class), config.one_of(Action), defaults={"default": "block"}), default={}
    )
    partners: Mapping[str, Messages] = option(config.mapping_of(config.server_name, section(Messages)), default={})
    exclude_users: tuple[str, ...] = option(config.list_of(config.user_pattern), default=[])

    def __attrs_post_init__(self) -> None:
        if self.require_scan and self.scanner.engine is Engine.ICAP:
            raise ConfigError("can't be true with `scanner.engine: icap`", ("require_scan",))


def error_of(raw: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(Module, raw)
    return caught.value


@pytest.mark.parametrize("raw", [None, {}, {"scanner": None}, {"scanner": {}, "messages": None}])
def test_nothing_configured_means_the_documented_defaults(raw: object) -> None:
    assert parse(Module, raw) == Module()
    assert Module().scanner == Scanner(
        engine=Engine.CLAMD, address=("unix:/run/clamd.ctl",), timeout_ms=60_000, max_connections=8
    )
    assert Module().audit_lifetime == Duration(fixed_ms=0, years=2)
    assert Module().messages is None


def test_a_full_configuration_is_read() -> None:
    read = parse(
        Module,
        {
            "scanner": {"engine": "icap", "address": ["icap://a:1344/x", "icap://b:1344/x"], "timeout": "15m"},
            "messages": {"lifetime": "1y"},
            "max_scan_size": "50M",
            "heuristics": {"encrypted": "report"},
            "partners": {"bund.example:8448": {"lifetime": "90d"}},
            "exclude_users": ["@bot-*:example.org"],
            "admin_hosts": ["Admin.Example", "::1"],
            "operator_users": ["@op:example.org"],
            "target": 1,
        },
    )
    assert read.scanner.engine is Engine.ICAP
    assert read.scanner.address == ("icap://a:1344/x", "icap://b:1344/x")
    assert read.scanner.timeout_ms == 900_000
    assert read.messages == Messages(lifetime=Duration(fixed_ms=0, years=1))
    assert read.max_scan_size == 50 * 1024 * 1024
    assert dict(read.heuristics) == {Class.DEFAULT: Action.BLOCK, Class.ENCRYPTED: Action.REPORT}
    assert read.partners["bund.example:8448"].lifetime.nominal_ms == 90 * 86_400_000
    assert read.admin_hosts == ("admin.example", "[::1]")
    assert read.operator_users == ("@op:example.org",)


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ({"scaner": {}}, ("scaner",), "unknown key `config.scaner`; did you mean `scanner`?"),
        (
            {"scanner": {"adress": "x"}},
            ("scanner", "adress"),
            "unknown key `config.scanner.adress`; did you mean `address`?",
        ),
        ({"timeout": "3s"}, ("timeout",), "unknown key `config.timeout`; did you mean `config.scanner.timeout`?"),
        (
            {"scanner": {"max_scan_size": "3M"}},
            ("scanner", "max_scan_size"),
            "unknown key `config.scanner.max_scan_size`; did you mean `config.max_scan_size`?",
        ),
        (
            {"messages": {"zzz": 1}},
            ("messages", "zzz"),
            "unknown key `config.messages.zzz`; valid keys here: `lifetime`",
        ),
        ({1: 2}, (), "`config`: key `1` must be text, not a whole number"),
        ([], (), "`config`: must be a mapping of options, not a list"),
        ({"scanner": ["a"]}, ("scanner",), "`config.scanner`: must be a mapping of options, not a list"),
        ({"messages": {}}, ("messages", "lifetime"), "missing required key `config.messages.lifetime`"),
        (
            {"require_scan": "true"},
            ("require_scan",),
            "`config.require_scan`: must be `true` or `false` (without quotes), not text",
        ),
        (
            {"scanner": {"engine": "clamdd"}},
            ("scanner", "engine"),
            "`config.scanner.engine`: `clamdd` is not one of clamd | icap; did you mean `clamd`?",
        ),
        (
            {"scanner": {"max_connections": True}},
            ("scanner", "max_connections"),
            "`config.scanner.max_connections`: must be a whole number from 1 to 64, not true or false",
        ),
        (
            {"scanner": {"max_connections": 65}},
            ("scanner", "max_connections"),
            "`config.scanner.max_connections`: must be a whole number from 1 to 64, not `65`",
        ),
        (
            {"max_scan_size": None},
            ("max_scan_size",),
            "`config.max_scan_size`: is empty (null); give a value or leave the key out",
        ),
        ({"max_scan_size": "1.5G"}, ("max_scan_size",), "`config.max_scan_size`: `1.5G` is no size; write `1536M`"),
        (
            {"scanner": {"timeout": 365}},
            ("scanner", "timeout"),
            f"`config.scanner.timeout`: `365` has no unit; must be {DURATION_EXPECTED}",
        ),
        (
            {"operator_users": "@a:b.example"},
            ("operator_users",),
            "`config.operator_users`: must be a list, not text",
        ),
        (
            {"operator_users": ["@a:b.example", "a"]},
            ("operator_users", "<item 1>"),
            "`config.operator_users.<item 1>`: must be a full user id such as `@name:example.org`",
        ),
        (
            {"operator_users": ["@a:b.example", "@a:b.example"]},
            ("operator_users", "<item 1>"),
            "`config.operator_users.<item 1>`: stands in the list twice",
        ),
        (
            {"admin_hosts": ["admin.example:8008"]},
            ("admin_hosts", "<item 0>"),
            "`config.admin_hosts.<item 0>`: must be a host name such as `admin.example`, without scheme, port or path",
        ),
        (
            {"scanner": {"address": []}},
            ("scanner", "address"),
            "`config.scanner.address`: must have at least 1 item",
        ),
        (
            {"heuristics": {"encrypted": "blok"}},
            ("heuristics", "encrypted"),
            "`config.heuristics.encrypted`: `blok` is not one of block | report; did you mean `block`?",
        ),
        (
            {"partners": {"a.example": {"lifetim": "1d"}}},
            ("partners", "a.example", "lifetim"),
            "unknown key `config.partners.a.example.lifetim`; did you mean `lifetime`?",
        ),
        ({"target": float("nan")}, ("target",), "`config.target`: must be a number from 0 to 1, not `nan`"),
        (
            {"require_scan": True, "scanner": {"engine": "icap"}},
            ("require_scan",),
            "`config.require_scan`: can't be true with `scanner.engine: icap`",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_with_path_and_remedy(
    raw: object, path: tuple[str, ...], message: str
) -> None:
    error = error_of(raw)
    assert error.msg == message
    assert error.path == path


@pytest.mark.parametrize(
    "raw",
    [
        {"scanner": {"password_path": "hunter2"}},
        {"scanner": {"password_path": ["hunter2"]}},
        {"scanner": {"password_path": {"hunter2": 1}}},
        {"scanner": {"password": "hunter2"}},
        {"scanner": {"address": " hunter2"}},
        {"scanner": "hunter2"},
        {"scanner": {"max_connections": "hunter2"}},
    ],
)
def test_a_secret_written_in_the_wrong_place_is_never_shown(raw: object) -> None:
    error = error_of(raw)
    assert "hunter2" not in error.msg
    assert "hunter2" not in ".".join(error.path or ())
    assert error.__cause__ is None


VALID_KEYS = tuple(sorted({"scanner", "messages", "max_scan_size", "require_scan", "heuristics", "partners", "target"}))


@given(st.sampled_from(VALID_KEYS), st.data())
def test_one_slip_of_the_finger_is_recognised(key: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz_-"))
    slip = data.draw(st.sampled_from(["drop", "insert", "replace", "upper", "dash"]))
    typed = {
        "drop": key[:position] + key[position + 1 :],
        "insert": key[:position] + letter + key[position:],
        "replace": key[:position] + letter + key[position + 1 :],
        "upper": key.upper(),
        "dash": key.replace("_", "-"),
    }[slip]
    assert nearest(typed, VALID_KEYS) == key


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["scanner", "engine", "timeout", "admin_hosts", "heuristics", "partners"])
                | st.text(max_size=4)
                | st.integers(),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_yaml_is_either_read_or_refused_with_a_printable_path(raw: object) -> None:
    try:
        parse(Module, raw)
    except ConfigError as e:
        error = e
    else:
        return
    assert error.msg
    assert all(isinstance(part, str) for part in error.path or ())
