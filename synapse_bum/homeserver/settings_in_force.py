"""What is loaded, and what a customer may know of homeserver.yaml: an allow-list, so that no secret is in it.

Run on Synapse 1.133.0 and 1.163.2: `synapse/config/`. A setting that another version does not have is unknown, not off.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

import attr
from synapse.module_api import ModuleApi

MILLISECONDS: Final = "ms"
BYTES: Final = "bytes"
WORD: Final = "word"
"""The unit of a value that is one of a few words."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LoadedModule:
    """A module of homeserver.yaml.

    Attributes:
        name: dotted, of its class.
        config: what its `parse_config` has made of its configuration.
    """

    name: str
    config: object = attr.ib(repr=False)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ServerSetting:
    """One setting of Synapse.

    Attributes:
        key: as in homeserver.yaml, dotted.
        value: a JSON value; None for "not set".
        unit: `ms`, `bytes`, `word` or None.
        is_known: False when this version of Synapse keeps it elsewhere; the value is None then.
    """

    key: str
    value: bool | int | float | str | tuple[str, ...] | None
    unit: str | None
    is_known: bool = True


def loaded_modules(api: ModuleApi) -> list[LoadedModule]:
    """The modules of homeserver.yaml, in its order."""
    return [
        LoadedModule(f"{module.__module__}.{module.__qualname__}", config)
        for module, config in api._hs.config.modules.loaded_modules
    ]


def server_settings(api: ModuleApi) -> list[ServerSetting]:
    """The settings of Synapse that matter to a customer."""
    return [wanted.read(api._hs.config) for wanted in _SHOWN]


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - of Synapse's configuration
    return value


def _names(values: Collection[str]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _federation(whitelist: object) -> str:
    """Reads the whitelist's kind, never its names; the federation module puts an object of its own there."""
    if whitelist is None:
        return "everybody"
    if type(whitelist) is not dict:
        return "partners"
    return "listed" if whitelist else "nobody"


def _encryption(presets: Collection[str]) -> str:
    return {0: "off", 2: "invite"}.get(len(presets), "all")


def _minimum_length(policy: dict[str, Any]) -> int | None:
    return policy.get("minimum_length") if policy.get("enabled") else None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Shown:
    """Where a setting is: `section.attribute` and further attributes of `HomeServerConfig`, and what to make of it."""

    key: str
    attribute: str
    unit: str | None = None
    convert: Callable[[Any], Any] = _as_it_is

    def read(self, config: object) -> ServerSetting:
        found: Any = config
        try:
            for name in self.attribute.split("."):
                found = getattr(found, name)
        except AttributeError:
            return ServerSetting(self.key, None, self.unit, is_known=False)
        return ServerSetting(self.key, self.convert(found), self.unit)


_SHOWN: Final = (
    _Shown("enable_registration", "registration.enable_registration"),
    _Shown("registration_requires_token", "registration.registration_requires_token"),
    _Shown("allow_guest_access", "registration.allow_guest_access"),
    _Shown("auto_join_rooms", "registration.auto_join_rooms", convert=_names),
    _Shown("enable_set_displayname", "registration.enable_set_displayname"),
    _Shown("enable_set_avatar_url", "registration.enable_set_avatar_url"),
    _Shown("enable_3pid_changes", "registration.enable_3pid_changes"),
    _Shown("password_config.enabled", "auth.password_enabled_for_login", convert=bool),
    _Shown("password_config.policy.minimum_length", "auth.password_policy", convert=_minimum_length),
    _Shown("session_lifetime", "registration.session_lifetime", MILLISECONDS),
    _Shown("max_upload_size", "media.max_upload_size", BYTES),
    _Shown("max_image_pixels", "media.max_image_pixels"),
    _Shown("rc_message.per_second", "ratelimiting.rc_message.per_second"),
    _Shown("rc_message.burst_count", "ratelimiting.rc_message.burst_count", convert=int),
    _Shown("limit_remote_rooms.enabled", "server.limit_remote_rooms.enabled"),
    _Shown("federation_domain_whitelist", "federation.federation_domain_whitelist", WORD, _federation),
    _Shown("allow_public_rooms_over_federation", "server.allow_public_rooms_over_federation"),
    _Shown("allow_profile_lookup_over_federation", "federation.allow_profile_lookup_over_federation"),
    _Shown("retention.enabled", "retention.retention_enabled"),
    _Shown("redaction_retention_period", "server.redaction_retention_period", MILLISECONDS),
    _Shown("user_ips_max_age", "server.user_ips_max_age", MILLISECONDS),
    _Shown("forgotten_room_retention_period", "server.forgotten_room_retention_period", MILLISECONDS),
    _Shown(
        "media_retention.local_media_lifetime",
        "media.media_retention_local_media_lifetime_ms",
        MILLISECONDS,
    ),
    _Shown(
        "media_retention.remote_media_lifetime",
        "media.media_retention_remote_media_lifetime_ms",
        MILLISECONDS,
    ),
    _Shown(
        "encryption_enabled_by_default_for_room_type",
        "room.encryption_enabled_by_default_for_room_presets",
        WORD,
        _encryption,
    ),
    _Shown("allow_public_rooms_without_auth", "server.allow_public_rooms_without_auth"),
    _Shown("require_auth_for_profile_requests", "server.require_auth_for_profile_requests"),
    _Shown("user_directory.enabled", "userdirectory.user_directory_search_enabled"),
    _Shown("user_directory.search_all_users", "userdirectory.user_directory_search_all_users"),
    _Shown("presence.enabled", "server.presence_enabled"),
    _Shown("push.include_content", "push.push_include_content"),
    _Shown("url_preview_enabled", "media.url_preview_enabled"),
    _Shown("enable_search", "server.enable_search"),
)
