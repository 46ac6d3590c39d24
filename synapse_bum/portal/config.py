"""The `config:` of `synapse_bum.portal.PortalModule`."""

import datetime as dt
import ipaddress
import re
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.config import (
    Path,
    SharedConfig,
    absolute_path,
    boolean,
    duration_ms,
    fail,
    host,
    list_of,
    matching,
    one_of,
    option,
    section,
    text,
)

_BASE_URL: Final = re.compile(r"https?://[^\s/?#@]+/?", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_PAGE_URL: Final = re.compile(r"https://[^\s/?#@\"'<>]+(/[^\s\"'<>]*)?", re.ASCII)

email: Final = matching(
    lambda value: re.fullmatch(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+", value) is not None,
    "a mail address such as `a@b.example`",
)


class Language(Enum):
    """In which language the pages are; each has its own folder in `texts/`."""

    GERMAN = "de"
    ENGLISH = "en"


def base_url(value: object, path: Path) -> str:
    """Reads `https://host[:port]` or `http://host[:port]`, and returns it without a slash at its end."""
    found = text(value, path)
    if _BASE_URL.fullmatch(found) is None:
        fail(path, "must be an address such as `https://admin.example`, without a path or a password")
    return found.rstrip("/")


page_url: Final = matching(
    lambda value: _PAGE_URL.fullmatch(value) is not None,
    "the address of a page such as `https://amt.example/impressum`",
)


def day(value: object, path: Path) -> dt.date:
    """Reads a day such as `2026-10-01`; YAML delivers one without quotes as a date."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    written = value if isinstance(value, str) and _DAY.fullmatch(value) else ""
    try:
        return dt.date.fromisoformat(written)
    except ValueError:
        fail(path, "must be a day such as `2026-10-01`")


def crosses_a_network_in_the_clear(url: str) -> bool:
    """Whether tokens sent to this address could be read on their way: plain http to any machine but this one."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    try:
        is_here = ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_here = name == "localhost"
    return parts.scheme == "http" and not is_here


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MasConfig:
    """Section `mas`: the portal as a client of the Matrix Authentication Service.

    Attributes:
        client_id: its name there.
        client_secret_path: a file with its secret.
    """

    client_id: str = option(text)
    client_secret_path: str = option(absolute_path)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contact:
    """Somebody who can be asked; shown on the page about contract and support.

    Attributes:
        name: of the person or the desk.
        task: what they can be asked about.
        phone: as it is shown.
        email: None without one.
    """

    name: str = option(text)
    task: str | None = option(text, default=None)
    phone: str | None = option(text, default=None)
    email: str | None = option(email, default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SupportConfig:
    """Section `support`.

    Attributes:
        contacts: in the order in which they are shown.
        email: where reported faults are mailed, and where the pages say that help is; None for no mail.
    """

    contacts: tuple[Contact, ...] = option(list_of(section(Contact)), default=[])
    email: str | None = option(email, default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ContractConfig:
    """Section `contract`.

    Attributes:
        number: of the contract.
        begin: its first day.
    """

    number: str = option(text)
    begin: dt.date = option(day)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LinksConfig:
    """Section `links`: pages of whoever offers the portal, linked at the foot of every page; None for no link."""

    imprint: str | None = option(page_url, default=None)
    privacy: str | None = option(page_url, default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PortalConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        hosts: lower case, without ports; on every other host the portal answers 404.
        admin_api_url: where the portal reaches the homeserver's APIs; no slash at its end.
        session_key_path: a file with one Fernet key a line; the first seals, all of them open. They seal cookies, and
            in our tables the access tokens of those who are logged in. To change the key, write the new one into the
            second line on all machines and restart; then swap the lines and restart; the old one may go an hour after
            `session_absolute` has passed. None for a key of our own in our table, in the clear: then a dump of the
            database opens those tokens. Not None with `mas`.
        session_lifetime_ms: without a request a session ends after this.
        session_absolute_ms: a session ends after this in any case.
        mas: where a Matrix Authentication Service has the accounts; None where Synapse has them.
        language: of the pages.
        show_activity: whether last seen, addresses and storage of single users are shown.
        file_previews: whether pictures that were scanned and are not encrypted can be looked at, with a reason that is
            written into the audit. Needs the antivirus module.
        support: whom administrators can ask.
        contract: shown with its terms; None for none.
        links: at the foot of every page.
    """

    hosts: tuple[str, ...] = option(list_of(host, minimum=1))
    admin_api_url: str = option(base_url)
    session_key_path: str | None = option(absolute_path, default=None)
    session_lifetime_ms: int = option(duration_ms, default="30m", key="session_lifetime")
    session_absolute_ms: int = option(duration_ms, default="8h", key="session_absolute")
    mas: MasConfig | None = option(section(MasConfig), default=None)
    language: Language = option(one_of(Language), default="de")
    show_activity: bool = option(boolean, default=False)
    file_previews: bool = option(boolean, default=False)
    support: SupportConfig = option(section(SupportConfig), default={})
    contract: ContractConfig | None = option(section(ContractConfig), default=None)
    links: LinksConfig = option(section(LinksConfig), default={})

    def __attrs_post_init__(self) -> None:
        if self.session_absolute_ms < self.session_lifetime_ms:
            raise ConfigError("must not be shorter than `session_lifetime`", ("session_absolute",))
        if self.mas is not None and self.session_key_path is None:
            raise ConfigError(
                "is needed with `mas`: without it the key lies in the database, beside the tokens of the authentication"
                " service that it seals",
                ("session_key_path",),
            )
