"""The command `synapse-bum provision`.

What reads the configuration of a homeserver takes Synapse along, which takes seconds: it is imported when it is needed.
"""

import argparse
import datetime as dt
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synapse_bum.cli.command import Command

if TYPE_CHECKING:
    from synapse_bum.cli.provision.first_admin import NewAdmin
    from synapse_bum.cli.provision.order import IdentityProviderOrder, Order

_PRESETS: Final = ("keycloak", "entra_id", "okta")
_USAGE_STATUS: Final = 2


def _add_options(parser: argparse.ArgumentParser) -> None:
    new = parser.add_argument_group("a new homeserver")
    new.add_argument("--server-name", metavar="NAME", help="the part of user ids behind the colon; never to be changed")
    new.add_argument("--out", type=Path, metavar="DIR", help="a new folder for everything; it stays where it is made")
    new.add_argument("--support-email", metavar="MAIL", help="where the customer gets help")
    new.add_argument("--admin-email", metavar="MAIL", help="of the first administrator, who sets a password by mail")
    new.add_argument("--public-host", metavar="HOST", help="for clients and servers (matrix.NAME)")
    new.add_argument("--admin-host", metavar="HOST", help="for administrators (admin.NAME)")
    new.add_argument("--portal-host", metavar="HOST", help="for the portal (as --admin-host)")
    new.add_argument("--address", action="append", default=[], metavar="IP", help="of the machine, for the DNS; repeat")
    new.add_argument(
        "--database", default="sqlite", metavar="URL", help="sqlite (default), or postgresql://user@host/database"
    )
    new.add_argument("--database-password-file", type=Path, metavar="PATH", help="a file with PostgreSQL's password")
    new.add_argument(
        "--workers", default="0", metavar="N", help="generic workers, beside one for media and one to send"
    )
    new.add_argument("--redis", default="127.0.0.1:6379", metavar="HOST:PORT", help="needed by workers")
    new.add_argument("--port", default="8008", metavar="PORT", help="the first of the ports on 127.0.0.1 (8008)")
    new.add_argument("--scanner", default="unix:/run/clamav/clamd.ctl", metavar="ADDRESS", help="where clamd is")
    new.add_argument("--smtp", default="localhost:25", metavar="HOST:PORT", help="where mails are given to")
    new.add_argument("--mail-from", metavar="MAIL", help="sender of Synapse's mails (noreply@NAME)")
    new.add_argument("--timezone", default="Europe/Berlin", metavar="ZONE", help="where days begin (Europe/Berlin)")
    new.add_argument("--begin", metavar="DAY", help="first day of the service, for example 2026-10-01 (today)")
    new.add_argument("--contract-number", metavar="TEXT", help="shown in the portal")
    new.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="interpreter that runs Synapse (this one)"
    )
    new.add_argument("--python-path", metavar="PATH", help="folder or bundle (.zip) with synapse_bum, if not installed")
    new.add_argument("--user", default="matrix-synapse", metavar="NAME", help="whom Synapse runs as (matrix-synapse)")
    oidc = parser.add_argument_group("sign-in with an identity provider")
    oidc.add_argument("--oidc-preset", choices=_PRESETS, help="which kind it is")
    oidc.add_argument("--oidc-issuer", metavar="URL", help="its address")
    oidc.add_argument("--oidc-client-id", metavar="ID", help="of the homeserver there")
    oidc.add_argument("--oidc-client-secret-file", type=Path, metavar="PATH", help="a file with its secret")
    oidc.add_argument("--oidc-tenant", metavar="ID", help="of Entra ID")
    oidc.add_argument("--oidc-admin-role", action="append", default=[], metavar="ROLE", help="administrators; repeat")
    oidc.add_argument("--oidc-required-role", action="append", default=[], metavar="ROLE", help="who may in; repeat")
    first = parser.add_argument_group("the first administrator of a homeserver that runs")
    first.add_argument("--first-admin", metavar="LOCALPART", help="make this account; its password is printed once")
    first.add_argument(
        "-c", "--config-path", action="append", type=Path, metavar="PATH", help="homeserver.yaml; repeat as for Synapse"
    )
    first.add_argument(
        "--email", metavar="MAIL", help="of its owner, who sets a password by Synapse's mail; none is printed then"
    )
    first.add_argument("--url", help="the homeserver as this machine reaches it, when that is not in homeserver.yaml")


def _run(options: argparse.Namespace) -> int:
    if options.first_admin is not None:
        return _make_first_admin(options)
    from synapse_bum.cli.provision.order import OrderError  # noqa: PLC0415 - see the head of this file

    missing = [name for name in ("server_name", "out", "support_email") if getattr(options, name) is None]
    if options.config_path or missing:
        sentence = (
            "-c belongs to --first-admin"
            if options.config_path
            else f"--{missing[0].replace('_', '-')} is needed; or --first-admin and -c for a homeserver that runs"
        )
        print(f"synapse-bum provision: {sentence}", file=sys.stderr)
        return _USAGE_STATUS
    try:
        order = _order(options)
        _provision(order)
    except OrderError as error:
        print(f"synapse-bum provision: {error}", file=sys.stderr)
        return 1
    return 0


def _make_first_admin(options: argparse.Namespace) -> int:
    from synapse_bum.cli.check.configuration import ConfigurationError  # noqa: PLC0415 - see the head of this file
    from synapse_bum.cli.provision.first_admin import (  # noqa: PLC0415 - the same
        FirstAdminError,
        Wish,
        make_first_admin,
    )
    from synapse_bum.cli.provision.order import OrderError, mail  # noqa: PLC0415 - the same

    if not options.config_path:
        print("synapse-bum provision: --first-admin needs -c with homeserver.yaml", file=sys.stderr)
        return _USAGE_STATUS
    try:
        email = None if options.email is None else mail("--email", options.email)
        wish = Wish(options.first_admin, email, options.url)
        problems = make_first_admin(options.config_path, wish, lambda account: _show(account, email))
    except (ConfigurationError, FirstAdminError, OrderError) as error:
        print(f"synapse-bum provision: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"synapse-bum provision: {problem}", file=sys.stderr)
    return int(bool(problems))


def _show(account: "NewAdmin", email: str | None) -> None:
    """The password is on its way when this ends."""
    lines = [f"{account.user_id} is administrator."]
    if account.password is None:
        lines.append(
            f"Nobody knows a password of it: the owner of {email} sets one, by `forgotten password` in the app."
        )
    else:
        lines += [
            f"Password, shown only now: {account.password}",
            "Tell it on another way than the handover mail. It has to be changed after the first login, which Synapse",
            "can't force: with --email nobody but its owner ever knows the password.",
        ]
    print("\n".join(lines), flush=True)


def _provision(order: "Order") -> None:
    from synapse_bum.cli.provision.everything import EMPTY, PRIVATE, everything  # noqa: PLC0415 - see the head
    from synapse_bum.cli.provision.new_folder import refuse_what_is_there, write_new_folder  # noqa: PLC0415 - the same
    from synapse_bum.cli.provision.next_steps import next_steps  # noqa: PLC0415 - the same

    refuse_what_is_there(order.folder)
    files = everything(order)
    write_new_folder(order.folder, files, PRIVATE, EMPTY)
    folder = order.folder
    print(f"{folder}: {len(files)} files for {order.hosts.server}; next:")
    for number, step in enumerate(next_steps(order), 1):
        print(f"{number:4}. {step}")


def _order(options: argparse.Namespace) -> "Order":
    from synapse_bum.cli.provision import order as reading  # noqa: PLC0415 - see the head of this file

    hosts = reading.hosts(options.server_name, options.public_host, options.admin_host, options.portal_host)
    database = reading.database(options.database)
    workers = 0 if options.workers == "0" else reading.number("--workers", options.workers, reading.MAX_WORKERS)
    if workers and database is None:
        raise reading.OrderError("--workers: several processes can't share SQLite; name a PostgreSQL with --database")
    password_file = options.database_password_file
    if password_file is not None and database is None:
        raise reading.OrderError("--database-password-file belongs to a PostgreSQL in --database")
    today = dt.datetime.now(dt.timezone.utc).astimezone().date()
    return reading.Order(
        hosts=hosts,
        folder=reading.folder(options.out),
        support_email=reading.mail("--support-email", options.support_email),
        database=database,
        database_password=None
        if password_file is None
        else reading.secret_in("--database-password-file", password_file),
        workers=workers,
        redis=reading.endpoint("--redis", options.redis),
        port=reading.number("--port", options.port),
        addresses=reading.addresses(options.address),
        scanner=reading.scanner(options.scanner),
        mail_from=reading.mail("--mail-from", options.mail_from or f"noreply@{hosts.server}"),
        smtp=reading.endpoint("--smtp", options.smtp),
        timezone=reading.time_zone(options.timezone),
        begin=today if options.begin is None else reading.day("--begin", options.begin),
        contract_number=None
        if options.contract_number is None
        else reading.line("--contract-number", options.contract_number),
        identity_provider=_identity_provider(options),
        admin_email=None if options.admin_email is None else reading.mail("--admin-email", options.admin_email),
        python=str(reading.folder(Path(options.python), "--python")),
        user=reading.linux_user(options.user),
        python_path=None
        if options.python_path is None
        else str(reading.folder(Path(options.python_path), "--python-path")),
        reached=_reached(options, database or {}),
    )


def _reached(options: argparse.Namespace, database: Mapping[str, str | int]) -> "tuple[Path, ...]":
    """What the processes have to see, beside their folder: by its name, and where links lead."""
    socket = options.scanner.removeprefix("unix:")
    named = [
        options.out,
        options.python,
        options.python_path,
        socket,
        database.get("host"),
        database.get("sslrootcert"),
    ]
    paths = [Path(one).absolute() for one in named if one is not None and str(one).startswith("/")]
    if options.python == sys.executable:  # then Synapse finds this package where it is now
        paths.append(Path(__file__))
    return tuple(dict.fromkeys(path for one in paths for path in (one, one.resolve())))


def _identity_provider(options: argparse.Namespace) -> "IdentityProviderOrder | None":
    from synapse_bum.cli.provision import order as reading  # noqa: PLC0415 - see the head of this file

    needed = ("oidc_issuer", "oidc_client_id", "oidc_client_secret_file")
    others = (*needed, "oidc_tenant", "oidc_admin_role", "oidc_required_role")
    if options.oidc_preset is None:
        for name in others:
            if getattr(options, name):
                raise reading.OrderError(f"--{name.replace('_', '-')} needs --oidc-preset")
        return None
    for name in needed:
        if getattr(options, name) is None:
            raise reading.OrderError(f"--oidc-preset needs --{name.replace('_', '-')}")
    if (options.oidc_preset == "entra_id") is not (options.oidc_tenant is not None):
        raise reading.OrderError("--oidc-tenant is needed with `--oidc-preset entra_id`, and only there")
    return reading.IdentityProviderOrder(
        preset=options.oidc_preset,
        issuer=reading.https_url("--oidc-issuer", options.oidc_issuer),
        client_id=reading.line("--oidc-client-id", options.oidc_client_id),
        client_secret=reading.secret_in("--oidc-client-secret-file", options.oidc_client_secret_file),
        tenant=options.oidc_tenant,
        admin_roles=tuple(options.oidc_admin_role),
        required_roles=tuple(options.oidc_required_role),
    )


PROVISION: Final = Command(
    name="provision",
    summary="write everything that a new homeserver needs, and make its first administrator",
    description="Writes a new folder: homeserver.yaml with all modules at the contract's numbers, workers, logs, keys,"
    " clamd, nginx, DNS, systemd and a handover mail. Never overwrites. With --first-admin: makes the first"
    " administrator of a homeserver that runs.",
    add_options=_add_options,
    run=_run,
)
