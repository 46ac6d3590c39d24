"""Whether Synapse's own configuration leaves the federation module in charge."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error, warning
from synapse_bum.federation.config import FederationConfig, Relay

_SYNAPSES_DEFAULT: Final = [{"server_name": "matrix.org"}]


def federation_remarks(config: FederationConfig, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """Compare the module's configuration with homeserver.yaml.

    Args:
        config: of the module.
        homeserver: homeserver.yaml.

    Yields:
        What there is to say.
    """
    own_name = str(homeserver.get("server_name", "")).lower()
    if homeserver.get("federation_domain_whitelist") != []:
        text = "homeserver.yaml needs the line `federation_domain_whitelist: []`"
        if homeserver.get("federation_domain_whitelist") is None:
            text += ": without it, or with null, Synapse talks with every server"
        yield error(Check.WHITELIST, text)
    if own_name in config.partners:
        yield error(Check.OWN_PARTNER, f"`partners.{own_name}` is this server itself; remove it")
    notaries = homeserver.get("trusted_key_servers", _SYNAPSES_DEFAULT)
    entries = notaries if isinstance(notaries, list) else []
    names = [entry.get("server_name") for entry in entries if isinstance(entry, dict)]
    for name in sorted(str(name).lower() for name in names if name):
        if name not in config.partners:
            text = f"`trusted_key_servers` names {name}, which is asked for keys only if it is a partner"
            yield warning(Check.KEY_SERVERS, text)
    if config.relay is Relay.SHOW:
        text = "`relay: show` delivers what partners pass on of servers that are not allowed"
        yield warning(Check.RELAY, text)
