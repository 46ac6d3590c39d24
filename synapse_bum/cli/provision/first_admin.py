"""The first administrator of a homeserver that runs.

The password is made here and shown once; or nobody is shown one, and the owner of a mail address sets one himself, by
the mail that Synapse sends to whoever has forgotten his password.
"""

import contextlib
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration
from synapse_bum.cli.provision import attempts
from synapse_bum.cli.provision.registering import (
    EmailRefusedError,
    LostAnswerError,
    NewAccount,
    RegistrationError,
    add_email,
    check_url,
    log_out,
    register_admin,
)
from synapse_bum.database.schema import SchemaTooNewError
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError, database_settings

# Without letters and digits that are taken for each other when a password is read out.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GROUPS: Final = 5
_GROUP_LENGTH: Final = 5

_SHOWN: Final = "made by the command and shown once; to be changed after the first login"
_UNKNOWN: Final = "known to nobody; its owner sets one by mail"


class FirstAdminError(Exception):
    """There is no new administrator; the text says why, and what to do."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Wish:
    """Who shall be the first administrator.

    Attributes:
        localpart: of the new account.
        email: of its owner, who sets a password by mail; None for a password that is shown.
        url: where the homeserver is reached; None for its own listener on this machine.
    """

    localpart: str
    email: str | None = None
    url: str | None = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class NewAdmin:
    """The account that was made.

    Attributes:
        user_id: its name.
        password: None when its owner sets one by mail.
    """

    user_id: str
    password: str | None = attr.ib(repr=False)


def make_first_admin(paths: Sequence[Path], wish: Wish, show: Callable[[NewAdmin], None]) -> list[str]:
    """Make the account.

    Args:
        paths: of homeserver.yaml, as Synapse gets them.
        wish: who it shall be.
        show: tells whoever runs this; before it has returned, the audit does not say that the account was made.

    Returns:
        Sentences about what went wrong when the account was there already.

    Raises:
        ConfigurationError: homeserver.yaml can't be read, or lacks what is needed.
        FirstAdminError: there is an administrator already, or Synapse refused or is not reached.
    """
    if wish.url is not None:
        try:
            check_url(wish.url)
        except RegistrationError as error:
            raise FirstAdminError(f"--url: {error}") from None
    homeserver = read_configuration(paths)
    shared_secret = _shared_secret(homeserver)
    if wish.email is not None:
        _must_send_mail(homeserver)
    url = wish.url or _own_address(homeserver)
    user_id = f"@{wish.localpart}:{_server_name(homeserver)}"
    database = _plan(homeserver, user_id)
    password = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    try:
        account = register_admin(url, shared_secret, wish.localpart, password)
    except RegistrationError as error:
        # Where this fails, the plan stays: it says even more carefully that nobody knows.
        with contextlib.suppress(OfflineDatabaseError):
            attempts.failed(database, user_id, is_unclear=isinstance(error, LostAnswerError))
        raise FirstAdminError(str(error)) from None
    problems = [] if wish.email is None else _email_problems(url, account, wish.email)
    by_mail = wish.email is not None and not problems
    try:
        show(NewAdmin(account.user_id, None if by_mail else password))
    except OSError as error:
        raise FirstAdminError(
            f"{account.user_id} is administrator, and its password could not be shown ({error}): run this again, it"
            " says what to do"
        ) from None
    if not log_out(url, account):
        problems.append(f"the login of this command has not ended: end it in the portal, at {account.user_id}")
    try:
        attempts.done(database, account.user_id, _UNKNOWN if by_mail else _SHOWN)
    except OfflineDatabaseError as error:
        problems.append(f"the account is there, but the audit knows of the attempt only: {error}")
    return problems


def _plan(homeserver: Mapping[str, Any], user_id: str) -> OfflineDatabase:
    try:
        database = OfflineDatabase(database_settings(homeserver))
        sentence = attempts.plan(database, user_id)
    except OfflineDatabaseError as error:
        raise FirstAdminError(
            f"{error}; Synapse makes its tables at its first start: start it, and run this again"
        ) from None
    except SchemaTooNewError as error:
        raise FirstAdminError(str(error)) from None
    if sentence is not None:
        raise FirstAdminError(sentence)
    return database


def _email_problems(url: str, account: NewAccount, address: str) -> list[str]:
    try:
        add_email(url, account, address)
    except EmailRefusedError as error:
        return [f"the mail address was not written down ({error}): the password above is the way in"]
    return []


def _must_send_mail(homeserver: Mapping[str, Any]) -> None:
    email = homeserver.get("email")
    if not isinstance(email, dict) or not email.get("notif_from"):
        raise ConfigurationError(
            "--email: Synapse sends no mail: homeserver.yaml has no section `email` with `notif_from`"
        )
    passwords = homeserver.get("password_config")
    if isinstance(passwords, dict) and passwords.get("enabled") is False:
        raise ConfigurationError("--email: `password_config.enabled` is false: nobody has a password on this server")


def _server_name(homeserver: Mapping[str, Any]) -> str:
    found = homeserver.get("server_name")
    if not isinstance(found, str):
        raise ConfigurationError("homeserver.yaml has no `server_name`")
    return found


def _shared_secret(homeserver: Mapping[str, Any]) -> str:
    found = homeserver.get("registration_shared_secret")
    path = homeserver.get("registration_shared_secret_path")
    if isinstance(path, str):
        try:
            found = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"`registration_shared_secret_path`: {path}: {error}") from None
    if not isinstance(found, str) or not found:
        raise ConfigurationError(
            "homeserver.yaml has no `registration_shared_secret_path`, with which accounts are made"
        )
    return found


def _own_address(homeserver: Mapping[str, Any]) -> str:
    """The first listener for clients that this machine can speak to in the clear."""
    for one in homeserver.get("listeners") or []:
        if not isinstance(one, dict) or one.get("tls") or "port" not in one:
            continue
        names = {name for resource in one.get("resources") or [] for name in resource.get("names") or []}
        if "client" in names:
            (address, *_) = one.get("bind_addresses") or ["127.0.0.1"]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - reads it, binds nothing
            if not _is_of_this_machine(host):
                raise ConfigurationError(
                    f"homeserver.yaml has its listener for clients at {host}, which is not this machine: the password"
                    " would cross the network in the clear; run this there, or name --url with https"
                )
            return f"http://[{host}]:{one['port']}" if ":" in host else f"http://{host}:{one['port']}"
    raise ConfigurationError("homeserver.yaml has no listener for clients that this machine reaches: name --url")


def _is_of_this_machine(host: str) -> bool:
    """Whether an address is one of this machine's own: nobody can listen at another's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
