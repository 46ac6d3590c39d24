"""The command `synapse-bum check`."""

import argparse
import ipaddress
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.check.remark import Level, Remark, error
from synapse_bum.cli.command import Command
from synapse_bum.quantities import escaped

if TYPE_CHECKING:
    from synapse_bum.cli.check.online.network import Network, Place


_USAGE: Final = 2
"""What argparse ends with too."""


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
    parser.add_argument("--offline", action="store_true", help="do not connect to the scanner and the database")
    parser.add_argument("--json", action="store_true", help="print findings and a summary as JSON")
    parser.add_argument("--strict", action="store_true", help="end with 1 for warnings too")
    beside = parser.add_argument_group("what stands beside the homeserver")
    beside.add_argument("--clamd-conf", type=Path, metavar="PATH", help="clamd.conf")
    beside.add_argument("--c-icap-conf", type=Path, metavar="PATH", help="c-icap.conf")
    beside.add_argument(
        "--proxy-config",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="nginx's configuration in front of the homeserver, or what `nginx -T` prints; repeat",
    )
    beside.add_argument(
        "--elsewhere",
        action="store_true",
        help="this is not the machine that runs it: leave out swap, core dumps and file systems",
    )
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
    from synapse_bum.cli.check.checks import Surroundings, check  # noqa: PLC0415
    from synapse_bum.cli.check.given import Given  # noqa: PLC0415 - the same
    from synapse_bum.cli.check.machine import read_machine  # noqa: PLC0415 - the same

    try:
        network = _network(options)
    except ConfigurationError as failure:
        print(f"synapse-bum check: {failure}", file=sys.stderr)
        return _USAGE
    around = Surroundings(
        connects=not options.offline,
        network=network,
        given=Given(options.clamd_conf, options.c_icap_conf, tuple(options.proxy_config)),
        machine=None if options.elsewhere else read_machine(),
    )
    found: list[Remark] = []
    try:
        for remark in check(options.config_path, around):
            found.append(remark)
            if not options.json:
                print(_in_encoding(f"{remark.level.value:7} {remark.text}", sys.stdout.encoding))
    except ConfigurationError as failure:
        print(f"synapse-bum check: {escaped(str(failure))}", file=sys.stderr)
        found.append(error(Check.FILE, str(failure)))
    if options.json:
        print(json.dumps(as_json(found, strict=options.strict), indent=2))
    return status_of(found, strict=options.strict)


def _in_encoding(line: str, encoding: str | None) -> str:
    """What of a line a terminal can't show is escaped: a name in German ends no check where the locale is C."""
    name = encoding or "utf-8"
    return line.encode(name, "backslashreplace").decode(name)


def status_of(found: Sequence[Remark], *, strict: bool) -> int:
    """What the command ends with. Pure.

    Args:
        found: all that was said.
        strict: whether warnings count.
    """
    bad = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    return int(any(remark.level in bad for remark in found))


def as_json(found: Sequence[Remark], *, strict: bool) -> dict[str, object]:
    """What `--json` prints. Pure.

    Args:
        found: all that was said.
        strict: whether warnings count.
    """
    counts = Counter(remark.level for remark in found)
    summary = {f"{level.name.lower()}s" if level is not Level.OK else "ok": counts[level] for level in Level}
    return {
        "findings": [remark.as_json() for remark in found],
        "summary": {**summary, "passed": status_of(found, strict=strict) == 0},
    }


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
    description="Reads homeserver.yaml with the modules in it and the files of workers, asks the scanner and the"
    " database, and prints errors and warnings. Ends with 1 when there is an error, and with 2 when an"
    " option is wrong.",
    add_options=_add_options,
    run=_run,
)
