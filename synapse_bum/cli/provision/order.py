"""What is ordered of `synapse-bum provision`: names, database, workers, addresses; each checked. Pure."""

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import attr

from synapse_bum.identifiers import is_host, is_line
from synapse_bum.storage.mail_address import is_mail_address

MAX_SERVER_NAME: Final = 230
"""Matrix specification, Appendices, "Server Name": with it user ids still have room for a localpart."""

MAX_WORKERS: Final = 32
MAX_PORT: Final = 65_535
_SAFE_PATH: Final = re.compile(r"/[A-Za-z0-9._/+-]*", re.ASCII)
_SAFE_SOCKET: Final = re.compile(r"unix:/[A-Za-z0-9._/+-]+|tcp:[A-Za-z0-9.:\[\]-]+:[0-9]{1,5}", re.ASCII)
_LINUX_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
_URL_KEYS: Final = frozenset({"host", "port", "sslmode", "sslrootcert"})


class OrderError(Exception):
    """Something that can't be provisioned; the text is a sentence that says what would be right."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Hosts:
    """The names under which the homeserver is reached.

    Attributes:
        server: the part of user ids behind the colon; it never changes.
        public: where clients and other servers connect to.
        admin: where administrators' routes answer.
        portal: where the portal answers; may be `admin`.
    """

    server: str
    public: str
    admin: str
    portal: str

    @property
    def distinct(self) -> tuple[str, ...]:
        """Each name once; the certificate has to hold them all."""
        return tuple(dict.fromkeys((self.server, self.public, self.admin, self.portal)))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class IdentityProviderOrder:
    """People sign in with an identity provider.

    Attributes:
        preset: keycloak, entra_id or okta.
        issuer: its address.
        client_id: of the homeserver there.
        client_secret: of the homeserver there.
        tenant: of Entra ID.
        admin_roles: whose bearers are administrators.
        required_roles: one of them is needed to sign in.
    """

    preset: str
    issuer: str
    client_id: str
    client_secret: str = attr.ib(repr=False)
    tenant: str | None
    admin_roles: tuple[str, ...]
    required_roles: tuple[str, ...]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Order:
    """One homeserver to be provisioned.

    Attributes:
        hosts: its names.
        folder: where everything will be, absolute.
        database: `args` for PostgreSQL without the password; None for SQLite.
        database_password: None where PostgreSQL needs none.
        workers: generic ones; 0 for one process alone, otherwise a media worker and a federation sender come along.
        redis: host and port; used with workers.
        port: the first of the ports on 127.0.0.1.
        addresses: of the machine as the internet sees it, for the zone.
        scanner: clamd's, as in `scanner.address`.
        support_email: where customers get help.
        mail_from: sender of Synapse's mails.
        smtp: host and port.
        timezone: where days and months begin.
        begin: first day of the service.
        contract_number: None when nothing is to be shown of it.
        identity_provider: None for passwords.
        python: interpreter that runs Synapse.
        user: whom systemd runs Synapse as.
        admin_email: of the first administrator, who sets a password by mail; None where the operator is shown one.
        python_path: where Synapse finds our package; None where it is installed.
        reached: files and folders that its processes have to see, with links followed.
    """

    hosts: Hosts
    folder: Path
    support_email: str
    database: Mapping[str, str | int] | None = None
    database_password: str | None = attr.ib(default=None, repr=False)
    workers: int = 0
    redis: tuple[str, int] = ("127.0.0.1", 6379)
    port: int = 8008
    addresses: tuple[str, ...] = ()
    scanner: str = "unix:/run/clamav/clamd.ctl"
    mail_from: str = ""
    smtp: tuple[str, int] = ("localhost", 25)
    timezone: str = "Europe/Berlin"
    begin: dt.date = dt.date(2026, 1, 1)
    contract_number: str | None = None
    identity_provider: IdentityProviderOrder | None = None
    python: str = "/usr/bin/python3"
    user: str = "matrix-synapse"
    python_path: str | None = None
    admin_email: str | None = None
    reached: tuple[Path, ...] = ()


def server_name(text: str) -> str:
    """Check the name that can never change.

    Raises:
        OrderError: it is none that other servers find by DNS and its delegation.
    """
    return _name(text, "--server-name")


def hosts(server: str, public: str | None, admin: str | None, portal: str | None) -> Hosts:
    """Choose and check the names.

    Args:
        server: the server name.
        public: None for `matrix.` before it.
        admin: None for `admin.` before it.
        portal: None for the same as `admin`.

    Raises:
        OrderError: one is no DNS name, or two that must differ are the same.
    """
    server = server_name(server)
    admin = _name(admin or f"admin.{server}", "--admin-host")
    found = Hosts(
        server,
        _name(public or f"matrix.{server}", "--public-host"),
        admin,
        _name(portal or admin, "--portal-host"),
    )
    for option, host in (("--admin-host", found.admin), ("--portal-host", found.portal)):
        for other, name in (("--public-host", found.public), ("--server-name", found.server)):
            if host == name:
                raise OrderError(
                    f"{option} and {other} are both {host}: administrators need a name of their own, which is not"
                    " reached from everywhere"
                )
    return found


def database(text: str) -> dict[str, str | int] | None:
    """Read `--database`.

    Returns:
        `args` of `database` in homeserver.yaml, None for SQLite.

    Raises:
        OrderError: it is neither `sqlite` nor an address of PostgreSQL, or it holds a password.
    """
    if text == "sqlite":
        return None
    wanted = "--database must be `sqlite` or an address such as `postgresql://synapse@db.example/synapse`"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise OrderError(wanted) from None
    if parts.password is not None:
        raise OrderError(
            "--database holds a password, which everybody on this machine can see; write it into a file and name that"
            " with --database-password-file"
        )
    host, user, dbname = parts.hostname or "/run/postgresql", parts.username or "synapse", parts.path.removeprefix("/")
    if parts.scheme not in {"postgresql", "postgres"} or "/" in dbname or "%" in host or parts.fragment:
        raise OrderError(wanted)
    user, dbname = unquote(user), unquote(dbname)
    # A name with `=` would be more than a name to libpq.
    if not dbname or "=" in dbname or not (user + dbname).isprintable():
        raise OrderError(wanted)
    options = dict(parse_qsl(parts.query))
    unknown = sorted(set(options) - _URL_KEYS)
    if unknown:
        raise OrderError(f"--database: `{unknown[0]}` is not known there; known: {', '.join(sorted(_URL_KEYS))}")
    found: dict[str, str | int] = {"host": host, "dbname": dbname}
    if port is not None:
        found["port"] = port
    found.update({key: number("--database", value) if key == "port" else value for key, value in options.items()})
    found["user"] = user
    return found


def number(option: str, text: str, largest: int = MAX_PORT) -> int:
    """Read a number from 1 on.

    Raises:
        OrderError: it is none, or too large.
    """
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not 1 <= int(text) <= largest:
        raise OrderError(f"{option} must be a number from 1 to {largest}, not `{text}`")
    return int(text)


def endpoint(option: str, text: str) -> tuple[str, int]:
    """Read `host:port`.

    Raises:
        OrderError: it is something else.
    """
    host, _, port = text.rpartition(":")
    if not (is_host(host)):
        raise OrderError(f"{option} must be a host and a port such as `127.0.0.1:6379`, not `{text}`")
    return host, number(option, port)


def addresses(texts: list[str]) -> tuple[str, ...]:
    """Read IP addresses.

    Raises:
        OrderError: one is none.
    """
    found = []
    for text in texts:
        try:
            found.append(str(ipaddress.ip_address(text)))
        except ValueError:
            raise OrderError(f"--address must be an IPv4 or IPv6 address, not `{text}`") from None
    return tuple(dict.fromkeys(found))


def mail(option: str, text: str) -> str:
    """Check a mail address.

    Raises:
        OrderError: it is none.
    """
    if not is_mail_address(text):
        raise OrderError(f"{option} must be one mail address such as `hilfe@betrieb.example`, not `{text}`")
    return text


def time_zone(text: str) -> str:
    """Check the name of a time zone.

    Raises:
        OrderError: this machine does not know it.
    """
    try:
        ZoneInfo(text)
    except (KeyError, OSError, ValueError):  # unknown; a folder; no name at all
        raise OrderError(f"--timezone: there is no time zone `{text}`; for Germany it is `Europe/Berlin`") from None
    return text


def day(option: str, text: str) -> dt.date:
    """Read a day such as 2026-10-01.

    Raises:
        OrderError: there is no such day.
    """
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no time zone
    except ValueError:
        raise OrderError(f"{option} must be a day such as `2026-10-01`, not `{text}`") from None


def line(option: str, text: str) -> str:
    """Check a text of one line.

    Raises:
        OrderError: it is empty, too long or has several lines.
    """
    if not is_line(text):
        raise OrderError(f"{option} must be one line of at most 255 bytes")
    return text


def folder(path: Path, option: str = "--out") -> Path:
    """Check a path that goes into files of several programs.

    Raises:
        OrderError: its path can't stand in the files that are written.
    """
    found = path.absolute()
    if not _SAFE_PATH.fullmatch(str(found)) or ".." in found.parts:
        raise OrderError(
            f"{option}: `{found}` may hold letters, digits and `. _ + -` only, and no `..`: it goes into files of"
            " nginx, systemd and libpq, each of which reads other characters in its own way"
        )
    return found


def scanner(text: str) -> str:
    """Check clamd's address.

    Raises:
        OrderError: it is none.
    """
    if not _SAFE_SOCKET.fullmatch(text):
        raise OrderError(f"--scanner must be `unix:/path` or `tcp:host:port`, not `{text}`")
    return text


def linux_user(text: str) -> str:
    """Check the name of a user of the machine.

    Raises:
        OrderError: it can be none.
    """
    if not _LINUX_USER.fullmatch(text):
        raise OrderError(f"--user must be the name of a user of the machine, not `{text}`")
    return text


def https_url(option: str, text: str) -> str:
    """Check an address.

    Raises:
        OrderError: it does not begin with https, or holds something that is not for an address.
    """
    wanted = f"{option} must be an address that begins with `https://`, not `{text}`"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise OrderError(wanted) from None
    is_plain = "@" not in parts.netloc and text.isprintable() and port != 0
    if parts.scheme != "https" or not is_host(f"[{host}]" if ":" in host else host) or not is_plain:
        raise OrderError(wanted)
    return text


def secret_in(option: str, path: Path) -> str:
    """Read a secret of one line from a file.

    Raises:
        OrderError: it can't be read, or holds something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise OrderError(f"{option}: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        lines = []
    if len(lines) != 1 or not lines[0].isprintable() or not lines[0]:
        raise OrderError(f"{option}: {path} must hold one line with the secret")
    return lines[0]


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, section by section."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = overlaid(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _name(text: str, option: str) -> str:
    """A DNS name of at least two labels, in lower case, as certificates and delegations know it."""
    given = f"{option} is `{text}`"
    if not text.isascii():
        raise OrderError(f"{given}: umlauts and other letters have to be written as DNS has them (`xn--...`)")
    if text != text.lower():
        raise OrderError(f"{given}: write it in lower case; it can never be changed, and other servers compare letters")
    if text.startswith("[") or re.fullmatch(r"[0-9.]+(:[0-9]+)?", text) or text.count(":") > 1:
        raise OrderError(f"{given}: an IP address has neither delegation nor certificate; it must be a DNS name")
    if ":" in text:
        raise OrderError(f"{given}: leave the port out; the delegation says at which port the server is")
    if "_" in text:
        raise OrderError(f"{given}: host names have no underscores")
    if len(text) > MAX_SERVER_NAME:
        raise OrderError(f"{given}: it has {len(text)} characters, at most {MAX_SERVER_NAME} are possible")
    if not is_host(text) or "." not in text or text.rpartition(".")[2].isdigit():
        raise OrderError(
            f"{given}: it must be a DNS name such as `messenger.amt.example`: labels of letters, digits and hyphens"
            " (inside), of at most 63 characters, with dots between them"
        )
    return text
