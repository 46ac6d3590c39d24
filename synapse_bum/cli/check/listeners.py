"""Who can reach the administrators' API: it is served on every HTTP listener with `client` or `media`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.config import SharedConfig

_FOR_CLIENTS: Final = frozenset({"client", "media"})
_FOR_OTHERS: Final = frozenset({"federation", "metrics", "replication"})


def listener_remarks(homeserver: Mapping[str, Any], configs: Mapping[str, SharedConfig]) -> Iterator[Remark]:
    """Look at the listeners and at `admin_hosts`. Pure.

    Args:
        homeserver: homeserver.yaml.
        configs: of our modules, by name.
    """
    for listener in homeserver.get("listeners") or []:
        names = _names(listener)
        combined = sorted(names & _FOR_OTHERS)
        if names & _FOR_CLIENTS and combined:
            where = listener.get("port") or listener.get("path")
            yield Remark(
                Level.WARNING,
                f"listener {where} serves clients and {', '.join(combined)}: the reverse proxy alone decides who"
                " reaches the modules' routes there",
            )
    for name, config in configs.items():
        if not config.admin_hosts:
            text = f"{name}: `admin_hosts` is empty: administrators' routes are served on every host name"
            yield Remark(Level.WARNING, text)


def _names(listener: object) -> set[str]:
    resources = listener.get("resources") if isinstance(listener, dict) else None
    names: set[str] = set()
    for resource in resources or []:
        found = resource.get("names") if isinstance(resource, dict) else None
        names.update([found] if isinstance(found, str) else found or [])
    return names
