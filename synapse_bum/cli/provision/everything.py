"""All files of a new homeserver, by path below its folder."""

from typing import Final

from synapse_bum.cli.provision.delegation import well_known_files, zone
from synapse_bum.cli.provision.filling import filled, sample
from synapse_bum.cli.provision.homeserver_yaml import homeserver_yaml
from synapse_bum.cli.provision.letter import letter
from synapse_bum.cli.provision.order import Order
from synapse_bum.cli.provision.processes import processes
from synapse_bum.cli.provision.proxy import nginx_conf
from synapse_bum.cli.provision.secret_files import secret_files
from synapse_bum.cli.provision.units import unit_files
from synapse_bum.cli.provision.worker_files import process_files

PRIVATE: Final = ("secrets", "data", "log", "records")
"""Folders for Synapse's user alone."""

EMPTY: Final = ("data/media", "log", "records")
"""Folders that Synapse fills; `records` is to be kept when the database is restored."""


def everything(order: Order) -> dict[str, str]:
    """Write all of them.

    Raises:
        OrderError: there are not enough ports.
    """
    all_processes = processes(order)
    return {
        "homeserver.yaml": homeserver_yaml(order, all_processes),
        **process_files(order, all_processes),
        **unit_files(order, all_processes),
        **secret_files(order),
        "clamav/clamd.conf": _clamd_conf(order),
        "nginx/matrix.conf": nginx_conf(order, all_processes),
        f"dns/{order.hosts.server}.zone": zone(order),
        **well_known_files(order),
        "uebergabe.txt": letter(order),
    }


def _clamd_conf(order: Order) -> str:
    """Over TCP the lines for a socket stay: `check` and clamdscan use it."""
    kind, _, place = order.scanner.partition(":")
    if kind == "unix":
        return filled(sample("clamd.conf"), order, {"/run/clamav/clamd.ctl": place})
    host, _, port = place.rpartition(":")
    return filled(sample("clamd.conf"), order) + f"\nTCPSocket {port}\nTCPAddr {host.strip('[]')}\n"
