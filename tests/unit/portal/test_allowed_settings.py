"""The allow-list of settings: every entry exists, has a name in both languages, and nothing else is shown."""

import importlib
from enum import Enum
from typing import Any

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.configuration.allowed import ALLOWED, Allowed, allowed_of
from synapse_bum.portal.configuration.shown import settings_of
from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.language.texts import Texts, load
from synapse_bum.portal.presentation.setting_values import value_text
from synapse_bum.reading import list_of, mapping_of, option, read, section, size, text

CLASSES = {
    "antivirus": "AntivirusConfig",
    "retention": "RetentionConfig",
    "storage": "StorageConfig",
    "federation": "FederationConfig",
    "oidc": "OidcConfig",
    "portal": "PortalConfig",
    "availability": "AvailabilityConfig",
}
NEEDED: dict[str, dict[str, Any]] = {
    "portal": {"hosts": ["admin.example"], "admin_api_url": "https://api.example"},
    "retention": {name: {"lifetime": "1y"} for name in ("messages", "local_media", "remote_media")},
    "federation": {"signed_list": {"source": "/list.jws", "keys_path": "/keys"}},
}
FORMATS = Formats("de")
TEXTS = Texts(load("de"), FORMATS.number)


def loaded(allowed: Allowed) -> object:
    """The module's configuration with everything that is optional; skips what this package does not have."""
    try:
        module = importlib.import_module(f"synapse_bum.{allowed.name}.config")
    except ModuleNotFoundError:
        pytest.skip(f"there is no {allowed.name} here")
    schema = getattr(module, CLASSES[allowed.name])
    return read(schema, NEEDED.get(allowed.name, {}))


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda allowed: allowed.name)
def test_every_key_of_the_allow_list_is_one_of_the_module(allowed: Allowed) -> None:
    shown = {setting.key for setting in settings_of(loaded(allowed), allowed.units).shown}
    # Sections that are left out have one line of their own; here they are not.
    sections = {key for key in allowed.units if any(other.startswith(f"{key}.") for other in allowed.units)}
    assert set(allowed.units) - sections == shown


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda allowed: allowed.name)
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_key_has_a_name(allowed: Allowed, language: str) -> None:
    texts = load(language)
    assert [key for key in allowed.units if f"configuration.setting.{allowed.name}.{key}" not in texts] == []
    assert f"configuration.module_{allowed.name}" in texts


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda allowed: allowed.name)
def test_every_word_that_is_a_default_has_a_name(allowed: Allowed) -> None:
    words = {s.value for s in settings_of(loaded(allowed), allowed.units).shown if s.unit == "word"}
    assert [word for word in words if f"configuration.value_{word}" not in TEXTS] == []


def test_paths_and_credentials_are_not_on_the_list() -> None:
    keys = {key for allowed in ALLOWED for key in allowed.units}
    suspicious = ("path", "secret", "password", "token", "address", "source", "url", "key", "price")
    assert [key for key in keys if any(word in key for word in suspicious)] == []


def test_modules_are_found_by_their_class() -> None:
    found = allowed_of("synapse_bum.storage.module.StorageModule")
    assert found is not None
    assert found.name == "storage"
    assert allowed_of("synapse_bum.storages.module.StorageModule") is None
    assert allowed_of("somebody.storage.StorageModule") is None


class Colour(Enum):
    """A word."""

    RED = "red"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Inner:
    """A section."""

    secret: str = option(text, default="inner")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Outer:
    """A configuration with values of all kinds."""

    limit: int = option(size, default="1M")
    secret: str = option(text, default="outer")
    inner: Inner = option(section(Inner), default={})  # noqa: RUF009 - makes an attrs field
    people: tuple[Inner, ...] = option(list_of(section(Inner)), default=[])
    table: Any = option(mapping_of(lambda key, _path: key, text), default={})  # noqa: RUF009 - the same


class TestHiding:
    def test_what_is_not_named_is_hidden(self) -> None:
        found = settings_of(read(Outer, {"secret": "x"}), {"limit": "bytes"})
        assert [(s.key, s.value, s.unit, s.is_default) for s in found.shown] == [("limit", 2**20, "bytes", True)]
        assert set(found.hidden) == {"secret", "inner.secret", "people", "table"}

    def test_what_is_named_but_of_no_plain_kind_is_hidden_too(self) -> None:
        config = read(Outer, {"people": [{"secret": "x"}], "table": {"a": "x"}})
        found = settings_of(config, {"people": None, "table": None})
        assert found.shown == ()
        assert {"people", "table"} <= set(found.hidden)

    @pytest.mark.parametrize("config", [None, {}, {"password": "x"}, "x", object()])
    def test_a_configuration_of_another_kind_is_hidden_whole(self, config: object) -> None:
        assert settings_of(config, {"password": None}).shown == ()


class TestValues:
    @pytest.mark.parametrize(
        ("value", "unit", "expected"),
        [
            (None, None, "nicht festgelegt"),
            (True, None, "ja"),
            ([], None, "keine"),
            (["a", "b"], None, "a, b"),
            ("clamd", "word", "ClamAV (clamd)"),
            ("clamd", None, "clamd"),
            ("newest", "word", "newest"),
            (60_000, "ms", "1\N{NO-BREAK SPACE}Minute"),
            (15_000, "ms", "15 Sekunden"),
            (86_400_000, "ms", "1\N{NO-BREAK SPACE}Tag"),
            (2, "years", "2 Jahre"),
            (0.95, "share", "95\N{NO-BREAK SPACE}%"),
            (0.999, "share", "99,9\N{NO-BREAK SPACE}%"),
            (0.17, None, "0,17"),
            (1000, None, "1.000"),
            (50_000_000, "bytes", "50,0\N{NO-BREAK SPACE}MB"),
        ],
    )
    def test_as_a_reader_understands_them(self, value: object, unit: str | None, expected: str) -> None:
        assert value_text(value, unit, TEXTS, FORMATS) == expected

    @given(
        st.one_of(st.none(), st.booleans(), st.integers(0, 2**60), st.text(), st.lists(st.text())),
        st.sampled_from(["ms", "bytes", "years", "share", "word", None]),
    )
    def test_there_is_always_something_to_read(self, value: object, unit: str | None) -> None:
        assert isinstance(value_text(value, unit, TEXTS, FORMATS), str)
