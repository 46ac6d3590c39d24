"""Making an account through Synapse's own admin API, as whoever knows the shared secret.

So modules and workers learn of it as of any other (Synapse: docs/admin_api/register_api.md, user_admin_api.md). Run on
Synapse 1.133.0 and 1.163.2.
"""

import hashlib
import hmac
import http.client
import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import attr

from synapse_bum.identifiers import is_host

_REGISTER: Final = "/_synapse/admin/v1/register"
_USERS: Final = "/_synapse/admin/v2/users/"
_LOGOUT: Final = "/_matrix/client/v3/logout"
_TIMEOUT_S: Final = 30.0
_MAX_ANSWER_BYTES: Final = 65_536
_CONNECTIONS: Final = {"https": http.client.HTTPSConnection, "http": http.client.HTTPConnection}


class RegistrationError(Exception):
    """There is no account; the text says why, and what to do."""


class LostAnswerError(RegistrationError):
    """Whether there is an account is not known; the text says what to do."""


class EmailRefusedError(Exception):
    """The account is there, its mail address is not; the text says why."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class NewAccount:
    """An account, and somebody logged in to it.

    Attributes:
        user_id: its name.
        token: of the login.
    """

    user_id: str
    token: str = attr.ib(repr=False)


def check_url(url: str) -> None:
    """Refuse an address to which a password must not be sent. Pure.

    Raises:
        RegistrationError: it is neither https, nor plain http to this machine itself.
    """
    wanted = f"`{url}` must be an address such as `https://matrix.amt.example` or `http://127.0.0.1:8008`"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        known_port = parts.port != 0
    except ValueError:
        raise RegistrationError(wanted) from None
    is_plain = url.isprintable() and "@" not in parts.netloc and not (parts.path.strip("/") or parts.query)
    bracketed = f"[{host}]" if ":" in host else host
    if parts.scheme not in _CONNECTIONS or not is_host(bracketed) or not known_port or not is_plain or parts.fragment:
        raise RegistrationError(wanted)
    if parts.scheme == "http" and not _is_loopback(host):
        raise RegistrationError(f"{url}: the password would cross the network in the clear; use https")


def register_admin(url: str, shared_secret: str, localpart: str, password: str) -> NewAccount:
    """Make an administrator.

    Args:
        url: where the homeserver is reached.
        shared_secret: `registration_shared_secret`.
        localpart: of the account.
        password: of the account.

    Raises:
        RegistrationError: Synapse refused, or is not reached.
        LostAnswerError: it was asked, and its answer did not arrive.
    """
    status, answer = _request(url, "GET", _REGISTER, None)
    nonce = answer.get("nonce")
    if status != 200 or not isinstance(nonce, str):
        raise RegistrationError(
            f"{url}{_REGISTER} answers with HTTP {status}: with the Matrix Authentication Service accounts are made"
            " there (`mas-cli manage register-user --admin`); otherwise name another --url"
        )
    signed = f"{nonce}\0{localpart}\0{password}\0admin".encode()
    body = {
        "nonce": nonce,
        "username": localpart,
        "password": password,
        "admin": True,
        # Synapse prescribes this algorithm.
        "mac": hmac.new(shared_secret.encode(), signed, hashlib.sha1).hexdigest(),
    }
    try:
        status, answer = _request(url, "POST", _REGISTER, body)
    except RegistrationError as error:
        raise LostAnswerError(
            f"{error}. Whether the account was made is not known: run this again, it says so"
        ) from None
    user_id, token = answer.get("user_id"), answer.get("access_token")
    if status == 200 and isinstance(user_id, str) and isinstance(token, str):
        return NewAccount(user_id, token)
    if status == 200 or status >= 500:
        raise LostAnswerError(
            f"Synapse answers with HTTP {status}, and whether it made the account `{localpart}` is not known: run this"
            " again, it says so"
        )
    said = str(answer.get("error") or f"HTTP {status}")
    raise RegistrationError(f"Synapse did not make the account `{localpart}`: {said}")


def add_email(url: str, account: NewAccount, address: str) -> None:
    """Write down the mail address with which its owner sets a password.

    Raises:
        EmailRefusedError: Synapse refused, or is not reached.
    """
    body = {"threepids": [{"medium": "email", "address": address}]}
    try:
        status, answer = _request(url, "PUT", f"{_USERS}{quote(account.user_id, safe='')}", body, account.token)
    except RegistrationError as error:
        raise EmailRefusedError(str(error)) from None
    if status != 200:
        raise EmailRefusedError(str(answer.get("error") or f"HTTP {status}"))


def log_out(url: str, account: NewAccount) -> bool:
    """End the login.

    Returns:
        Whether it has ended.
    """
    try:
        status, _answer = _request(url, "POST", _LOGOUT, {}, account.token)
    except RegistrationError:
        return False
    return status == 200


def _request(
    url: str, method: str, path: str, body: Mapping[str, Any] | None, token: str | None = None
) -> tuple[int, dict[str, Any]]:
    parts = urlsplit(url)
    # No other scheme is taken for one of these.
    connection = _CONNECTIONS[parts.scheme](parts.netloc, timeout=_TIMEOUT_S)
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        status, text = response.status, response.read(_MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise RegistrationError(f"Synapse is not reached at {url} ({error}): start it, and run this again") from None
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    return status, answer if isinstance(answer, dict) else {}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
