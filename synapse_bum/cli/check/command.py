"""The command `synapse-bum check`."""

import argparse
import ipaddress
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.check.remark import Level
from synapse_bum.cli.command import Command

if TYPE_CHECKING:
    from synapse_bum.cli.check.online.network import Network, Place


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config-path",
        action="append",
        type=Path,
        required=True,
        metavar="PATH",
        help="homeserver.yaml, or a folder of YAML files; repeat it as for Synapse",
    )
    parser.add_argument("--offline", action="store_true", help="do not connect to the scanner")
    online = parser.add_argument_group("looking for the homeserver as others do")
    online.add_argument(
        "--online", action="store_true", help="ask for delegation, certificates and SRV records, and connect to them"
    )
    online.add_argument(
        "--connect-to",
        action="append",
        default=[],
        metavar="HOST:PORT:HOST:PORT",
        help="take the second place for the first, for example before the DNS is changed; repeat",
    )
    online.add_argument("--dns-server", metavar="IP[:PORT]", help="whom to ask for SRV records (/etc/resolv.conf)")
    online.add_argument(
        "--ca-file", type=Path, metavar="PATH", help="authorities to trust beside the machine's own, PEM"
    )


def _run(options: argparse.Namespace) -> int:
    # Takes Synapse along, which takes seconds: other commands don't wait for it.
    from synapse_bum.cli.check.checks import check  # noqa: PLC0415

    levels = set()
    try:
        network = _network(options)
        for remark in check(options.config_path, ask_scanner=not options.offline, network=network):
            levels.add(remark.level)
            print(f"{remark.level.value:7} {remark.text}")
    except ConfigurationError as error:
        print(f"synapse-bum check: {error}", file=sys.stderr)
        return 1
    return int(Level.ERROR in levels)


def _network(options: argparse.Namespace) -> "Network | None":
    from synapse_bum.cli.check.online.network import Network  # noqa: PLC0415 - the same

    if not options.online:
        if options.connect_to or options.dns_server or options.ca_file:
            raise ConfigurationError("--connect-to, --dns-server and --ca-file belong to --online")
        return None
    if options.ca_file is not None and not options.ca_file.is_file():
        raise ConfigurationError(f"--ca-file: there is no file {options.ca_file}")
    instead = {}
    for text in options.connect_to:
        parts = text.split(":")
        if len(parts) != 4:
            raise ConfigurationError(f"--connect-to must be `host:port:host:port`, not `{text}`")
        instead[_place(f"{parts[0]}:{parts[1]}")] = _place(f"{parts[2]}:{parts[3]}")
    name_server = None if options.dns_server is None else _dns_server(options.dns_server)
    return Network(instead, name_server, options.ca_file)


def _dns_server(text: str) -> "Place":
    """An address, with a port where there is one: that of IPv6 stands behind brackets then."""
    host, port = text, "53"
    if text.startswith("["):
        host, bracket, behind = text[1:].partition("]")
        host, port = host if bracket else text, behind.removeprefix(":") if behind else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigurationError(
            "--dns-server must be an address such as `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:5353`, not"
            f" `{text}`"
        ) from None
    return str(address), _port(text, port)


def _place(text: str) -> "Place":
    host, _, port = text.rpartition(":")
    return host, _port(text, port if host else "")


def _port(text: str, port: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or not 1 <= int(port) <= 65_535:
        raise ConfigurationError(f"`{text}` must be a host and a port such as `192.0.2.1:443`")
    return int(port)


CHECK = Command(
    name="check",
    summary="say what is wrong with a configuration, and what it leaves open",
    description="Reads homeserver.yaml with the modules in it, asks the scanner, and prints errors and warnings."
    " Ends with 1 when there is an error.",
    add_options=_add_options,
    run=_run,
)
