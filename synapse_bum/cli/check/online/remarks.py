"""What is asked of the internet about a homeserver, and what there is to say."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attr

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.online.discovery import DEFAULT_PORT, SERVICES, WELL_KNOWN_PORT, Named, named
from synapse_bum.cli.check.online.network import (
    Answer,
    CertificateRefusedError,
    Network,
    Target,
    UnansweredError,
    UnreachableError,
)
from synapse_bum.cli.check.online.signing_keys import public_keys
from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.config import SharedConfig
from synapse_bum.portal.config import PortalConfig

SOON: Final = dt.timedelta(days=30)
"""Before a certificate ends there has to be time to get another one."""

VERY_SOON: Final = dt.timedelta(days=7)
"""Whoever was to get another one has not: somebody else has to look."""

_HTTPS: Final = 443
_PORTAL: Final = "/_synapse/client/bum/portal/"
_ADMIN_API: Final = "/_synapse/admin/v1/server_version"
_OWN_API: Final = "/_synapse/client/bum/v1/audit"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """Where other servers connect to.

    Attributes:
        host: whom they connect to.
        port: of it.
        name: what the certificate has to be for.
        found_by: how they get there.
    """

    host: str
    port: int
    name: str
    found_by: str


def online_remarks(
    homeserver: Mapping[str, Any], configs: Mapping[str, object], network: Network, now: dt.datetime | None = None
) -> Iterator[Remark]:
    """Look for the homeserver as clients and other servers do.

    Args:
        homeserver: homeserver.yaml.
        configs: of our modules, by name.
        network: where to look.
        now: None for the time that it is.
    """
    look = _Look(network, now or dt.datetime.now(dt.timezone.utc))
    server_name = homeserver.get("server_name")
    own = named(server_name) if isinstance(server_name, str) else None
    if own is None or not isinstance(server_name, str):
        yield Remark(Check.ONLINE_NAME, Level.ERROR, "homeserver.yaml has no `server_name` that could be looked for")
        return
    yield from look.other_servers(server_name, own, homeserver.get("signing_key_path"))
    base_url = homeserver.get("public_baseurl")
    if isinstance(base_url, str) and base_url.startswith("https://"):
        yield from look.clients(server_name, base_url)
    else:
        yield Remark(
            Check.ONLINE_CLIENTS, Level.WARNING, "`public_baseurl` is not set or not https: clients are not looked at"
        )
    portals = [config for config in configs.values() if isinstance(config, PortalConfig)]
    for config in portals:
        yield from look.portal(config)
    seen = {host for config in portals for host in config.hosts}
    for host in dict.fromkeys(host for config in configs.values() for host in _admin_hosts(config)):
        if host not in seen:
            yield from look.administrators(host)
    yield from look.certificates()


def _admin_hosts(config: object) -> list[str]:
    """Names for people: machines and clusters have addresses and short names for each other, without certificates."""
    hosts = config.admin_hosts if isinstance(config, SharedConfig) else ()
    return [
        host
        for host in hosts
        if "." in host and not host.endswith((".svc", ".svc.cluster.local")) and not _is_address(host)
    ]


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


class _Look:
    """One round; it remembers each certificate, to speak of it once."""

    def __init__(self, network: Network, now: dt.datetime) -> None:
        self._network = network
        self._now = now
        self._ends: dict[tuple[str, str, int], dt.datetime] = {}

    def other_servers(self, server_name: str, own: Named, signing_key_path: object) -> Iterator[Remark]:
        """As another server: delegation, SRV, the homeserver's keys."""
        found: list[Remark] = []
        place = self._place(server_name, own, found.append)
        yield from found
        yield from self._srv(server_name, place)
        if place is None:
            return
        where = f"{place.host}:{place.port} ({place.found_by})"
        answer, remark = self._get(place.host, place.port, "/_matrix/key/v2/server", place.name)
        if answer is None:
            yield Remark(Check.ONLINE_FEDERATION, Level.ERROR, f"other servers are led to {where}: {remark}")
            return
        said = answer.json.get("server_name")
        if answer.status != 200 or said is None:
            yield Remark(
                Check.ONLINE_FEDERATION, Level.ERROR, f"{where} does not answer as a homeserver (HTTP {answer.status})"
            )
        elif said != server_name:
            yield Remark(Check.ONLINE_FEDERATION, Level.ERROR, f"{where} answers for `{said}`, not for `{server_name}`")
        elif not _same_key(answer, signing_key_path):
            yield Remark(
                Check.ONLINE_FEDERATION,
                Level.ERROR,
                f"{where} signs with other keys than `signing_key_path`: another homeserver answers there",
            )
        else:
            yield Remark(Check.ONLINE_FEDERATION, Level.OK, f"other servers find {server_name} at {where}")

    def clients(self, server_name: str, base_url: str) -> Iterator[Remark]:
        """As a client: where the server name leads, and whether that is `public_baseurl`."""
        answer, problem = self._get(server_name, WELL_KNOWN_PORT, "/.well-known/matrix/client")
        if answer is None or answer.status != 200:
            why = problem if answer is None else f"HTTP {answer.status}"
            # Where clients are under the server name itself, they find it without this file.
            level = Level.WARNING if urlsplit(base_url).netloc == server_name else Level.ERROR
            yield Remark(
                Check.ONLINE_CLIENTS,
                level,
                f"https://{server_name}/.well-known/matrix/client: {why}: people have to type in {base_url}",
            )
        else:
            section = answer.json.get("m.homeserver")
            said = section.get("base_url") if isinstance(section, dict) else None
            if not isinstance(said, str) or said.rstrip("/") != base_url.rstrip("/"):
                yield Remark(
                    Check.ONLINE_CLIENTS,
                    Level.ERROR,
                    f"clients of {server_name} are led to `{said}`, not to `{base_url}`",
                )
            if answer.headers.get("access-control-allow-origin") != "*":
                yield Remark(
                    Check.ONLINE_CLIENTS,
                    Level.WARNING,
                    f"https://{server_name}/.well-known/matrix/client lacks `Access-Control-Allow-Origin: *`: browsers"
                    " keep it from clients",
                )
        answer, _problem = self._get(server_name, WELL_KNOWN_PORT, "/.well-known/matrix/support")
        if (
            answer is None
            or answer.status != 200
            or not (answer.json.get("contacts") or answer.json.get("support_page"))
        ):
            yield Remark(
                Check.ONLINE_SUPPORT,
                Level.WARNING,
                f"https://{server_name}/.well-known/matrix/support names nobody to ask",
            )
        yield from self._public(base_url)

    def portal(self, config: PortalConfig) -> Iterator[Remark]:
        """As an administrator's browser."""
        for host in config.hosts:
            answer, problem = self._get(host, _HTTPS, _PORTAL)
            if answer is None:
                yield Remark(
                    Check.ONLINE_PORTAL,
                    Level.WARNING,
                    f"portal: https://{host}{_PORTAL} is not reached from here: {problem}",
                )
            elif answer.status == 403:
                yield Remark(
                    Check.ONLINE_PORTAL,
                    Level.WARNING,
                    f"portal: https://{host}{_PORTAL} is not open for this machine (HTTP 403)",
                )
            elif answer.status >= 400 and answer.status != 401:  # which its page for signing in has
                yield Remark(
                    Check.ONLINE_PORTAL,
                    Level.ERROR,
                    f"portal: https://{host}{_PORTAL} answers with HTTP {answer.status}",
                )
            else:
                yield Remark(Check.ONLINE_PORTAL, Level.OK, f"portal: https://{host}{_PORTAL} answers")

    def administrators(self, host: str) -> Iterator[Remark]:
        """As the portal, or an administrator's program, under a name that is not the portal's."""
        answer, problem = self._get(host, _HTTPS, _OWN_API)
        if answer is None:
            yield Remark(
                Check.ONLINE_ADMIN_HOST,
                Level.WARNING,
                f"`admin_hosts`: https://{host} is not reached from here: {problem}",
            )
        elif answer.status == 403:
            yield Remark(
                Check.ONLINE_ADMIN_HOST,
                Level.WARNING,
                f"`admin_hosts`: https://{host} is not open for this machine (HTTP 403)",
            )
        elif answer.status != 401:  # nobody has signed in
            yield Remark(
                Check.ONLINE_ADMIN_HOST,
                Level.ERROR,
                f"`admin_hosts`: https://{host}{_OWN_API} answers with HTTP {answer.status}",
            )
        else:
            yield Remark(Check.ONLINE_ADMIN_HOST, Level.OK, f"`admin_hosts`: https://{host} answers administrators")

    def certificates(self) -> Iterator[Remark]:
        """How long each certificate that was seen is valid, with those that vouch for it."""
        for (name, host, port), end in sorted(self._ends.items()):
            left = end - self._now
            where = f"{name}:{port}" if host == name else f"{name} at {host}:{port}"
            text = f"certificate of {where}: the first of its chain ends on {end:%Y-%m-%d}, in {left.days} days"
            yield Remark(
                Check.ONLINE_CERTIFICATE,
                Level.OK if left > SOON else Level.WARNING if left > VERY_SOON else Level.ERROR,
                text,
            )

    def _public(self, base_url: str) -> Iterator[Remark]:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port or _HTTPS
        answer, problem = self._get(host, port, f"{parts.path.rstrip('/')}/_matrix/client/versions")
        if answer is None:
            yield Remark(Check.ONLINE_CLIENTS, Level.ERROR, f"`public_baseurl`: {base_url}: {problem}")
            return
        if answer.status != 200 or not answer.json.get("versions"):
            yield Remark(
                Check.ONLINE_CLIENTS,
                Level.ERROR,
                f"`public_baseurl`: {base_url} does not answer clients (HTTP {answer.status})",
            )
        else:
            yield Remark(Check.ONLINE_CLIENTS, Level.OK, f"`public_baseurl`: {base_url} answers clients")
        answer, _problem = self._get(host, port, _ADMIN_API)
        if answer is not None and answer.status != 404:
            yield Remark(
                Check.ONLINE_ADMIN,
                Level.WARNING,
                f"Synapse's admin API is served under {host}, where everybody is (HTTP {answer.status})",
            )

    def _place(self, server_name: str, own: Named, say: Callable[[Remark], None]) -> Place | None:
        if own.port is not None:
            return Place(own.host, own.port, own.host, "the port in its name")
        url = f"https://{server_name}/.well-known/matrix/server"
        answer, problem = self._get(server_name, WELL_KNOWN_PORT, "/.well-known/matrix/server")
        if answer is None or answer.status != 200:
            why = problem if answer is None else f"HTTP {answer.status}"
            say(
                Remark(
                    Check.ONLINE_FEDERATION,
                    Level.WARNING,
                    f"{url}: {why}: other servers look for an SRV record, then at port 8448",
                )
            )
            return self._without_port(server_name, "no delegation")
        said = answer.json.get("m.server")
        delegated = named(said) if isinstance(said, str) else None
        if delegated is None:
            say(
                Remark(
                    Check.ONLINE_FEDERATION,
                    Level.ERROR,
                    f"{url}: `m.server` must be a server name such as `matrix.{server_name}:443`",
                )
            )
            return None
        if delegated.port is not None:
            return Place(delegated.host, delegated.port, delegated.host, "its delegation")
        return self._without_port(delegated.host, "its delegation")

    def _without_port(self, host: str, found_by: str) -> Place:
        targets = self._targets(host)
        if targets:
            first = targets[0]
            return Place(first.host, first.port, host, f"{found_by}, SRV record")
        return Place(
            host, DEFAULT_PORT, host, f"{found_by}, {'no SRV record' if targets == [] else 'no answer for SRV'}"
        )

    def _srv(self, server_name: str, place: Place | None) -> Iterator[Remark]:
        """What the record promises to servers that get no delegation, for example while that web server is away."""
        try:
            targets = [target for service in SERVICES for target in self._network.targets(f"{service}.{server_name}")]
        except UnansweredError as error:
            yield Remark(
                Check.ONLINE_SRV, Level.WARNING, f"SRV records of {server_name} could not be asked for: {error}"
            )
            return
        for target in targets:
            if place is not None and (target.host, target.port, server_name) == (place.host, place.port, place.name):
                continue
            answer, problem = self._get(target.host, target.port, "/_matrix/key/v2/server", server_name)
            where = f"the SRV record of {server_name} leads to {target.host}:{target.port}"
            if answer is None:
                yield Remark(Check.ONLINE_SRV, Level.WARNING, f"{where}: {problem}")
            elif answer.json.get("server_name") != server_name:
                yield Remark(
                    Check.ONLINE_SRV, Level.WARNING, f"{where}, which does not answer for it (HTTP {answer.status})"
                )
            else:
                yield Remark(Check.ONLINE_SRV, Level.OK, f"{where}, which answers for it")

    def _targets(self, host: str) -> list[Target] | None:
        """None when nobody has told: whether there is a record is not known then."""
        has_answers = True
        for service in SERVICES:
            try:
                found = self._network.targets(f"{service}.{host}")
            except UnansweredError:
                has_answers = False
                continue
            if found:
                return found
        return [] if has_answers else None

    def _get(self, host: str, port: int, path: str, name: str | None = None) -> tuple[Answer | None, str]:
        try:
            answer = self._network.get(host, port, path, name)
        except CertificateRefusedError as error:
            return None, f"its certificate is not valid for {name or host}: {error}"
        except UnreachableError as error:
            return None, str(error)
        # Behind one name there may be several machines: the one that is worst off is spoken of.
        seen = (name or host, host, port)
        self._ends[seen] = min(answer.valid_until, self._ends.get(seen, answer.valid_until))
        if 300 <= answer.status < 400:
            return None, f"it leads on to {answer.headers.get('location')}, which is not followed"
        return answer, ""


def _same_key(answer: Answer, path: object) -> bool:
    """Whether a homeserver answers with one of the keys in our file; true when the file can't be read here."""
    if not isinstance(path, str):
        return True
    try:
        own = public_keys(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    section = answer.json.get("verify_keys")
    theirs = section if isinstance(section, dict) else {}
    return any(isinstance(theirs.get(name), dict) and theirs[name].get("key") == key for name, key in own.items())
