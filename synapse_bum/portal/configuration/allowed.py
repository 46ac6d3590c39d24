"""Which options of our modules may be shown. An allow-list: what is not named here is never shown, only that it exists.

Not named, on purpose: paths, addresses of machines, names and bank details of an invoice, lists of partners, and
everything that may hold a secret. A new option is hidden until somebody puts it here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attr

MILLISECONDS: Final = "ms"
BYTES: Final = "bytes"
SHARE: Final = "share"
"""Of one."""

_OF_ALL: Final = {"admin_hosts": None, "operator_users": None, "audit_lifetime": None}

_ANTIVIRUS: Final = {
    "scanner.engine": None,
    "scanner.timeout": MILLISECONDS,
    "scanner.max_connections": None,
    "scanner.self_test_interval": MILLISECONDS,
    "max_scan_size": BYTES,
    "on_infected_upload": None,
    "when_scanner_fails": None,
    "require_scan": None,
    "content_scanner.enabled": None,
    "content_scanner.allowed_mimetypes": None,
    "content_scanner.blocked_mimetypes": None,
    "content_scanner.scans_per_user": None,
    "rescan_on_signature_update": None,
    "delete_on_redaction": None,
    "delete_power": None,
}
_RETENTION: Final = {
    "messages": None,
    "messages.lifetime": None,
    "local_media": None,
    "local_media.lifetime": None,
    "remote_media": None,
    "remote_media.lifetime": None,
    "protect.avatars": None,
    "protect.image_packs": None,
    "protect.max_bytes_per_user": BYTES,
    "schedule.interval": MILLISECONDS,
    "schedule.batch_size": None,
    "schedule.message_step": None,
    "dry_run": None,
    "timezone": None,
}
_STORAGE: Final = {
    "included_gb_per_user": None,
    "gigabyte": BYTES,
    "count.local_media": None,
    "count.remote_media": None,
    "count.thumbnails": None,
    "exclude_users": None,
    "count_locked": None,
    "users_basis": None,
    "storage_basis": None,
    "customer_users": None,
    "alert_at": SHARE,
    "alert_email": None,
    "hard_limit_gb": None,
    "hard_limit_user_share": SHARE,
    "update_interval": MILLISECONDS,
    "timezone": None,
}
_FEDERATION: Final = {
    "managed": None,
    "allow_wildcards": None,
    "signed_list": None,
    "signed_list.refresh": MILLISECONDS,
    "signed_list.max_stale": MILLISECONDS,
    "removal.kick": None,
    "removal.wait": MILLISECONDS,
    "relay": None,
}
_PORTAL: Final = {
    "hosts": None,
    "session_lifetime": MILLISECONDS,
    "session_absolute": MILLISECONDS,
    "language": None,
    "show_activity": None,
}
_OIDC: Final = {
    "admin_sync": None,
    "admin_ttl": MILLISECONDS,
    "scim.enabled": None,
    "scim.idp_id": None,
    "scim.max_deactivations_per_hour": None,
}
_AVAILABILITY: Final = {"target": SHARE}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Allowed:
    """What may be shown of one module.

    Attributes:
        name: of the module's folder, and of its texts.
        units: by dotted key; None for a value without one.
    """

    name: str
    units: Mapping[str, str | None]


def _allowed(name: str, own: Mapping[str, str | None]) -> Allowed:
    return Allowed(name, MappingProxyType({**own, **_OF_ALL}))


ALLOWED: Final = tuple(
    _allowed(name, own)
    for name, own in (
        ("antivirus", _ANTIVIRUS),
        ("retention", _RETENTION),
        ("storage", _STORAGE),
        ("federation", _FEDERATION),
        ("oidc", _OIDC),
        ("portal", _PORTAL),
        ("availability", _AVAILABILITY),
    )
)


def allowed_of(class_name: str) -> Allowed | None:
    """What may be shown of the module with a class name such as `synapse_bum.storage.module.StorageModule`."""
    for allowed in ALLOWED:
        if class_name.startswith(f"synapse_bum.{allowed.name}."):
            return allowed
    return None
