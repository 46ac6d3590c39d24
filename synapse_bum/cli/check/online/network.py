"""What the check sees of the internet: connections, DNS, certificates. Blocking, each step bounded in time."""

import contextlib
import datetime as dt
import http.client
import json
import random
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attr
from twisted.names import dns

from synapse_bum.cli.check.online.certificate import valid_until

_TIMEOUT_S: Final = 10.0
_DNS_TIMEOUT_S: Final = 3.0
_DNS_TRIES: Final = 2
_MAX_DATAGRAM: Final = 4096
_MAX_BODY: Final = 51_200  # as Synapse takes of a well-known file
_RESOLV_CONF: Final = Path("/etc/resolv.conf")

Place = tuple[str, int]
"""Host and port."""


class UnreachableError(Exception):
    """Nobody answers; the text says what happened."""


class CertificateRefusedError(UnreachableError):
    """The certificate is not to be trusted for this name; the text says why."""


class UnansweredError(Exception):
    """No DNS server has answered a question; the text says what happened."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Answer:
    """What came back over HTTPS.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: at most 50 KiB of it.
        valid_until: when the first certificate of the chain ends.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    valid_until: dt.datetime

    @property
    def json(self) -> dict[str, Any]:
        """The object in the body; empty when there is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Target:
    """One SRV record (RFC 2782).

    Attributes:
        priority: the lowest is tried first.
        host: without a point at its end.
        port: of it.
    """

    priority: int
    host: str
    port: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Network:
    """The internet, or what stands in for it.

    Attributes:
        connect_to: places that are to be taken for others, for example before the DNS is changed.
        name_server: who is asked for SRV records; None for the machine's own.
        ca_file: PEM file of authorities to trust beside the machine's own; None for no more.
    """

    connect_to: Mapping[Place, Place] = attr.Factory(dict)
    name_server: Place | None = None
    ca_file: Path | None = None

    def get(self, host: str, port: int, path: str, name: str | None = None) -> Answer:
        """GET over HTTPS; redirects are not followed.

        Args:
            host: whom to connect to.
            port: of it.
            path: for example `/.well-known/matrix/server`.
            name: what the certificate has to be for, and the `Host` that is sent; the host when None.

        Raises:
            UnreachableError: nobody answers.
            CertificateRefusedError: the certificate is not to be trusted.
        """
        name = name or host
        address = self.connect_to.get((host, port), (host, port))
        try:
            with (
                socket.create_connection(address, _TIMEOUT_S) as connection,
                self._context().wrap_socket(connection, server_hostname=name) as secured,
            ):
                until = valid_until(secured)
                client = http.client.HTTPConnection(name, port, timeout=_TIMEOUT_S)
                client.sock = secured
                client.request("GET", path, headers={"Host": name if port == 443 else f"{name}:{port}"})
                response = client.getresponse()
                headers = {key.lower(): value for key, value in response.getheaders()}
                return Answer(response.status, headers, response.read(_MAX_BODY), until)
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefusedError(error.verify_message) from None
        except socket.gaierror:
            raise UnreachableError(f"{host} has no address in the DNS") from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(str(error) or type(error).__name__) from None

    def targets(self, name: str) -> list[Target]:
        """Ask for the SRV records of a name.

        Returns:
            In the order in which they are to be tried; empty when there is none.

        Raises:
            UnansweredError: nobody answered.
        """
        server = self.name_server or _own_name_server()
        question = dns.Message(random.getrandbits(16), recDes=1)
        question.addQuery(name.encode("ascii"), dns.SRV, dns.IN)
        return targets_in(_exchange(server, question), server[0])

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        return context


def targets_in(received: bytes, server: str) -> list[Target]:
    """Read the SRV records of an answer. Pure.

    Args:
        received: the answer.
        server: who gave it.

    Returns:
        As `Network.targets`.

    Raises:
        UnansweredError: it is no answer, a part of one, or says that the server could not find out.
    """
    answer = dns.Message()
    try:
        answer.fromStr(received)
        payloads: list[Any] = [record.payload for record in answer.answers if record.type == dns.SRV]
        found = [Target(one.priority, one.target.name.decode("ascii").rstrip("."), one.port) for one in payloads]
        # Twisted is content with a part of an answer.
        is_whole = len(answer.answers) == int.from_bytes(received[6:8], "big")
    except Exception as error:  # noqa: BLE001 - of Twisted's reader: EOFError, ValueError, struct.error and others
        raise UnansweredError(f"the DNS server {server} answers with something else ({error!r})") from None
    if answer.rCode not in {dns.OK, dns.ENAME}:
        raise UnansweredError(f"the DNS server {server} could not find out (DNS error {answer.rCode})")
    if answer.trunc or not is_whole:
        raise UnansweredError(
            f"the answer of the DNS server {server} is not whole: is it longer than it can be over UDP?"
        )
    # A record for "." says that there is no such service (RFC 2782).
    return sorted((target for target in found if target.host), key=lambda target: target.priority)


def _exchange(server: Place, question: dns.Message) -> bytes:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    sent = question.toStr()
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.settimeout(_DNS_TIMEOUT_S)
            connection.connect(server)
            for _ in range(_DNS_TRIES):
                with contextlib.suppress(OSError):  # nobody listens, or nobody answers: once more
                    connection.send(sent)
                    received = connection.recv(_MAX_DATAGRAM)
                    if received[:2] == sent[:2]:
                        return received
    except OSError as error:
        raise UnansweredError(f"the DNS server {server[0]} is not reached ({error})") from None
    raise UnansweredError(f"the DNS server {server[0]} does not answer")


def _own_name_server() -> Place:
    try:
        lines = _RESOLV_CONF.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UnansweredError(f"{_RESOLV_CONF}: {error.strerror}") from None
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return words[1], dns.PORT
    raise UnansweredError(f"{_RESOLV_CONF} names no DNS server")
