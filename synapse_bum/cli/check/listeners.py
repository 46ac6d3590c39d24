"""Who can reach the administrators' API: it is served on every HTTP listener with `client` or `media`. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.processes import Process
from synapse_bum.cli.check.remark import Remark, error, warning
from synapse_bum.cli.check.shapes import items
from synapse_bum.config import SharedConfig

_FOR_CLIENTS: Final = frozenset({"client", "media"})
_FOR_OTHERS: Final = frozenset({"federation", "metrics", "replication"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def listener_remarks(
    process: Process, configs: Mapping[str, SharedConfig], *, proxy_is_known: bool
) -> Iterator[Remark]:
    """Look at the listeners of a process.

    Args:
        process: whose.
        configs: of our modules, by name.
        proxy_is_known: whether what the proxy lets through is looked at too.
    """
    # On the loopback interface only a proxy can ask, and for administrators' routes it has to name their host.
    guarded = bool(configs) and all(config.admin_hosts for config in configs.values())
    for listener in process.listeners:
        names = names_of(listener)
        combined = sorted(names & _FOR_OTHERS)
        if names & _FOR_CLIENTS and combined and not proxy_is_known and not (guarded and _is_loopback(listener)):
            where = listener.get("port") or listener.get("path")
            yield warning(
                Check.COMBINED_LISTENER,
                f"listener {where} serves clients and {', '.join(combined)}: the reverse proxy alone decides who"
                " reaches the modules' routes there",
            )
    scanner = next((config for config in configs.values() if isinstance(config, AntivirusConfig)), None)
    listens = bool(process.listeners) or process.is_worker
    if scanner is not None and scanner.content_scanner.enabled and process.has_media and listens:
        served = {name for listener in process.listeners for name in names_of(listener)}
        if not served & _FOR_CLIENTS:
            yield error(
                Check.NO_CLIENT_LISTENER,
                f"{process.name} has the media repository, and no listener with `client` or `media`: the content"
                " scanner is served nowhere",
            )


def admin_host_remarks(configs: Mapping[str, SharedConfig]) -> Iterator[Remark]:
    """Look at `admin_hosts`.

    Args:
        configs: of our modules, by name.
    """
    for name, config in configs.items():
        if not config.admin_hosts:
            text = "`admin_hosts` is empty: administrators' routes are served on every host name"
            yield warning(Check.ADMIN_HOSTS, text, name)


def names_of(listener: object) -> set[str]:
    """What a listener serves."""
    names: set[str] = set()
    for resource in items(listener, "resources") if isinstance(listener, dict) else []:
        found = resource.get("names") if isinstance(resource, dict) else None
        names.update(name for name in (found if isinstance(found, list) else [found]) if isinstance(name, str))
    return names


def ports_of(process: Process) -> set[int]:
    """The ports at which a process serves clients or servers."""
    found = [listener.get("port") for listener in process.listeners if names_of(listener) - {"metrics", "replication"}]
    return {port for port in found if isinstance(port, int)}


def _is_loopback(listener: Mapping[str, Any]) -> bool:
    if listener.get("path") is not None:
        return True
    one = listener.get("bind_address")
    addresses = [one] if isinstance(one, str) else items(listener, "bind_addresses")
    return bool(addresses) and all(isinstance(address, str) and address in _LOOPBACK for address in addresses)
