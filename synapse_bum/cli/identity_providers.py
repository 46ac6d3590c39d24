"""The identity providers in homeserver.yaml whose people we map, as all commands read them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.homeserver.oidc_entries import RawEntry, judge, raw_entries, settings_in
from synapse_bum.homeserver.oidc_settings import ProviderSettings
from synapse_bum.oidc.mapping import MappingConfig, parse_mapping
from synapse_bum.oidc.start_checks import contradictions, doubts

MAPPING_PROVIDER: Final = "synapse_bum.oidc.OidcMappingProvider"
"""The name that stands in homeserver.yaml."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class IdentityProvider:
    """One that Synapse would take.

    Attributes:
        place: where it stands in homeserver.yaml.
        options: of the entry.
        mapping: its configuration of our mapping.
        settings: of the entry, with Synapse's defaults.
    """

    place: str
    options: Mapping[str, Any]
    mapping: MappingConfig
    settings: ProviderSettings

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Sentences about what would stop the start."""
        return tuple(contradictions(self.mapping, self.settings))

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences about what will probably not do what was wanted."""
        return tuple(doubts(self.mapping, self.settings))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class WrongEntry:
    """One that can't be read.

    Attributes:
        place: where it stands in homeserver.yaml, in back quotes.
        says: what would be right.
    """

    place: str
    says: str

    @property
    def sentence(self) -> str:
        """What is wrong and where, in one line."""
        return f"{self.place}: {self.says}"


def identity_providers(homeserver: Mapping[str, Any]) -> Iterator[IdentityProvider | WrongEntry]:
    """Read the entries that have our mapping, in their order.

    Args:
        homeserver: homeserver.yaml.
    """
    try:
        entries = list(raw_entries(homeserver))
    except ConfigError as error:
        yield _wrong(error)
        return
    for entry in entries:
        if _is_ours(entry):
            yield _read(entry)


def readable_providers(homeserver: Mapping[str, Any]) -> tuple[IdentityProvider, ...]:
    """Read the entries that have our mapping, for commands that need all of them.

    Args:
        homeserver: homeserver.yaml.

    Raises:
        ConfigurationError: there is none, or one is wrong; the text names the key.
    """
    found = []
    for one in identity_providers(homeserver):
        if isinstance(one, WrongEntry):
            raise ConfigurationError(one.sentence)
        found.append(one)
    if not found:
        raise ConfigurationError(f"no entry of `oidc_providers` has the mapping provider {MAPPING_PROVIDER}")
    return tuple(found)


def _is_ours(entry: RawEntry) -> bool:
    mapper = entry.options.get("user_mapping_provider") if isinstance(entry.options, dict) else None
    return isinstance(mapper, dict) and mapper.get("module") == MAPPING_PROVIDER


def _read(entry: RawEntry) -> IdentityProvider | WrongEntry:
    try:
        options = judge(entry)
    except ConfigError as error:
        return _wrong(error)
    try:
        mapping = parse_mapping(options["user_mapping_provider"].get("config"))
    except ConfigError as error:
        return WrongEntry(f"`{entry.place}.user_mapping_provider`", error.msg)
    return IdentityProvider(entry.place, options, mapping, settings_in(options, mapping))


def _wrong(error: ConfigError) -> WrongEntry:
    return WrongEntry(f"`{'.'.join(error.path or ())}`", error.msg)
