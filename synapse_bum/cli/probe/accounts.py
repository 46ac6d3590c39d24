"""The two accounts of the probe: with an access token in a file, or with a password in one."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.probe.files import read_secret, write_whole
from synapse_bum.cli.probe.matrix import Client, RequestError, Server
from synapse_bum.cli.probe.result import State, TryError

STEP: Final = "login"

_OF_THE_PROBE: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers that speak of the account, not of the service."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class TokenAccount:
    """An account with an access token.

    Attributes:
        path: of the file with the token.
    """

    path: Path


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PasswordAccount:
    """An account with a password: it logs in once, and keeps the token in the probe's own folder.

    Attributes:
        user_id: full user id.
        path: of the file with the password.
    """

    user_id: str
    path: Path


def client_of(account: TokenAccount | PasswordAccount, number: int, server: Server, folder: Path) -> Client:
    """Returns a client that is logged in.

    Args:
        account: whose.
        number: of the account, 1 or 2.
        server: of the try.
        folder: where tokens are kept.

    Raises:
        TryError: it can't be had.
    """
    try:
        if isinstance(account, TokenAccount):
            return _checked(server, read_secret(account.path))
        return _with_password(account, server, folder / f"token-{number}.json")
    except ValueError as error:
        raise TryError(STEP, str(error), State.UNKNOWN) from None
    except RequestError as error:
        raise TryError(STEP, str(error), state_of(error)) from None


def state_of(error: RequestError) -> State:
    """Whether a refused request says something about the service. Pure."""
    return State.UNKNOWN if error.status in _OF_THE_PROBE else State.FAILED


def _checked(server: Server, token: str) -> Client:
    answer = Client(server, "", token).get("account/whoami")
    return Client(server, str(answer.get("user_id")), token)


def _with_password(account: PasswordAccount, server: Server, path: Path) -> Client:
    kept = _kept(path, account.user_id)
    if kept is not None:
        try:
            return _checked(server, kept)
        except RequestError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "password": read_secret(account.path),
        "device_id": "SYNAPSEBUMPROBE",
        "initial_device_display_name": "synapse-bum probe",
    }
    token = str(server.request("POST", "/_matrix/client/v3/login", body).get("access_token"))
    try:
        write_whole(path, json.dumps({"user_id": account.user_id, "token": token}))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    return Client(server, account.user_id, token)


def _kept(path: Path, user_id: str) -> str | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return str(kept["token"]) if kept["user_id"] == user_id else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
