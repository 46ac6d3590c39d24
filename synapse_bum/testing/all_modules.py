"""Every module at the contract's numbers, for homeservers that have them all."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr
from cryptography.fernet import Fernet

_PRIVATE: Final = 0o600


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ModulePlaces:
    """What the modules have to be told about where they are.

    Attributes:
        folder: for their secrets and for what they write outside the database; it exists.
        scanner: address of clamd.
        admin_host: name by which requests of administrators and of the portal are known.
        admin_api_url: where the portal reaches the homeserver.
    """

    folder: Path
    scanner: str
    admin_host: str
    admin_api_url: str

    @property
    def deletion_log(self) -> Path:
        """What was deleted."""
        return self.folder / "deletions.jsonl"

    @property
    def recovery_log(self) -> Path:
        """What a restored backup must not bring back."""
        return self.folder / "recovery.jsonl"

    @property
    def session_keys(self) -> Path:
        """Of the portal."""
        return self.folder / "portal-session-keys"

    @property
    def probe_token(self) -> Path:
        """Of the probe that measures from outside."""
        return self.folder / "probe-token"


def write_secrets(places: ModulePlaces) -> None:
    """Make the files that the modules read."""
    for path, content in (
        (places.session_keys, Fernet.generate_key()),
        (places.probe_token, secrets.token_urlsafe(32).encode()),
    ):
        path.write_bytes(content)
        path.chmod(_PRIVATE)


def all_modules(
    places: ModulePlaces, more: Mapping[str, Mapping[str, Any]] | None = None
) -> Sequence[Mapping[str, Any]]:
    """Write the `modules` section.

    Args:
        places: where they are.
        more: keys that are added to those of a module, or replace them, by its path below the package.
    """
    shared = {"admin_hosts": [places.admin_host]}
    configs: dict[str, Mapping[str, Any]] = {
        "antivirus.AntivirusModule": {**shared, "scanner": {"address": places.scanner}, "require_scan": True},
        "retention.RetentionModule": {
            **shared,
            "messages": {"lifetime": "1y"},
            "local_media": {"lifetime": "90d"},
            "remote_media": {"lifetime": "14d"},
            "deletion_log_path": str(places.deletion_log),
        },
        "storage.StorageModule": {**shared, "included_gb_per_user": 1},
        "availability.AvailabilityModule": {**shared, "target": 0.999, "probe_token_path": str(places.probe_token)},
        "portal.PortalModule": {
            **shared,
            "hosts": [places.admin_host],
            "admin_api_url": places.admin_api_url,
            "session_key_path": str(places.session_keys),
            "support": {"email": "desk@messenger.example"},
        },
        "recovery.RecoveryModule": {**shared, "log_path": str(places.recovery_log)},
        "federation.FederationModule": {**shared, "partners": {}},
        "oidc.OidcModule": {**shared},
    }
    added = more or {}
    assert added.keys() <= configs.keys(), added.keys() - configs.keys()
    return [
        {"module": f"synapse_bum.{name}", "config": {**config, **added.get(name, {})}}
        for name, config in configs.items()
    ]
