"""The configuration of the modules themselves, read as at a start of Synapse."""

from collections.abc import Mapping
from typing import Any, Final

from synapse.module_api.errors import ConfigError

from synapse_bum.antivirus import AntivirusModule
from synapse_bum.availability import AvailabilityModule
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error
from synapse_bum.federation import FederationModule
from synapse_bum.oidc import OidcModule
from synapse_bum.portal import PortalModule
from synapse_bum.reading import nearest
from synapse_bum.recovery import RecoveryModule
from synapse_bum.retention import RetentionModule
from synapse_bum.storage import StorageModule

MODULES: Final[Mapping[str, Any]] = {
    "synapse_bum.antivirus.AntivirusModule": AntivirusModule,
    "synapse_bum.availability.AvailabilityModule": AvailabilityModule,
    "synapse_bum.federation.FederationModule": FederationModule,
    "synapse_bum.oidc.OidcModule": OidcModule,
    "synapse_bum.portal.PortalModule": PortalModule,
    "synapse_bum.recovery.RecoveryModule": RecoveryModule,
    "synapse_bum.retention.RetentionModule": RetentionModule,
    "synapse_bum.storage.StorageModule": StorageModule,
}
"""By the name that stands in homeserver.yaml."""

_PREFIX: Final = "synapse_bum."


def load_modules(homeserver: Mapping[str, Any]) -> tuple[dict[str, Any], list[Remark]]:
    """Read the `modules` section.

    Args:
        homeserver: homeserver.yaml.

    Returns:
        The configurations of our modules by name, those with errors left out; and what was wrong.
    """
    loaded: dict[str, Any] = {}
    remarks: list[Remark] = []
    entries = homeserver.get("modules") or []
    if not isinstance(entries, list):
        return {}, [error(Check.SHAPE, "must be a list", "`modules`")]
    for number, entry in enumerate(entries):
        name = entry.get("module") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            remarks.append(error(Check.MODULE_ENTRY, "must name a module", f"`modules.<item {number}>.module`"))
        elif name in loaded:
            remarks.append(error(Check.MODULE_TWICE, f"{name} is loaded twice; remove one entry", "`modules`"))
        elif name in MODULES:
            try:
                loaded[name] = MODULES[name].parse_config(entry.get("config") or {})
            except ConfigError as failure:
                remarks.append(error(Check.MODULE_CONFIG, failure.msg, f"`modules.<item {number}>`"))
        elif name.startswith(_PREFIX):
            hint = nearest(name, tuple(MODULES))
            says = f"there is no {name}" + (f"; did you mean {hint}?" if hint else "")
            remarks.append(error(Check.MODULE_UNKNOWN, says))
    if not loaded and not remarks:
        remarks.append(error(Check.NO_MODULES, "names none of synapse_bum", "`modules`"))
    return loaded, remarks
