"""The Matrix Authentication Service as the portal asks it: who it is, tokens for codes, new tokens, their end."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import attr
from synapse.module_api import ModuleApi

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpExchange, HttpRequest
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient, Origin
from synapse_bum.portal.homeserver_api.homeserver_connection import HomeserverConnection
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError, UnauthorisedError, UnavailableError
from synapse_bum.portal.login.oidc_protocol import (
    METADATA,
    Attempt,
    Grant,
    ProtocolError,
    Provider,
    authorization_url,
    check_id_token,
    client_authorization,
    read_grant,
    read_provider,
)
from synapse_bum.secret_store import Secret

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 10.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Client:
    """What the portal is at the service.

    Attributes:
        client_id: its name there.
        secret: proves that it is the portal.
    """

    client_id: str
    secret: Secret


class AuthenticationService:
    """Asks the service that the homeserver names. Every method raises `UnavailableError` where nobody can be asked."""

    def __init__(
        self, api: ModuleApi, exchange: HttpExchange, connection: HomeserverConnection, client: Client
    ) -> None:
        """Takes the homeserver, how requests are sent, where its APIs are, and what the portal is at the service."""
        self._api = api
        self._exchange = exchange
        self._connection = connection
        self._client = client

    async def provider(self) -> Provider:
        """Asks the homeserver who logs its users in; Synapse keeps the answer."""
        metadata, scope_prefix = await _metadata(self._connection.client(Origin(None, None)))
        try:
            return read_provider(metadata, scope_prefix)
        except ProtocolError as e:
            logger.error("The metadata of the authentication service can't be used: %s", e)
            raise UnavailableError("its metadata can't be used") from e

    def authorization_url(self, provider: Provider, attempt: Attempt) -> str:
        """Returns the address that a browser is led to."""
        return authorization_url(provider, self._client.client_id, attempt)

    async def redeem(self, provider: Provider, code: str, attempt: Attempt) -> Grant:
        """Makes a code into tokens.

        Raises:
            UnauthorisedError: the service refuses, or the tokens are not for this login.
        """
        now_ms = self._api.get_current_time_msec()
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        answer = _granted(await self._ask(provider.token_endpoint, parameters))
        try:
            check_id_token(answer, provider, self._client.client_id, attempt.nonce, now_ms)
            return read_grant(answer, now_ms)
        except ProtocolError as e:
            logger.warning("A login at the authentication service was refused: %s", e)
            raise UnauthorisedError(str(e)) from e

    async def refresh(self, grant: Grant) -> Grant:
        """Makes the refresh token of a grant into a new grant.

        Raises:
            UnauthorisedError: it was ended, or used before.
        """
        if grant.refresh_token is None:
            raise UnauthorisedError("there is no refresh token")
        provider = await self.provider()
        now_ms = self._api.get_current_time_msec()
        parameters = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
        answer = _granted(await self._ask(provider.token_endpoint, parameters))
        try:
            return read_grant(answer, now_ms, grant)
        except ProtocolError as e:
            raise UnavailableError(str(e)) from e

    async def revoke(self, grant: Grant) -> None:
        """Ends a grant (RFC 7009): the service ends the whole login with either token."""
        hint = "access_token" if grant.refresh_token is None else "refresh_token"
        parameters = {"token": grant.refresh_token or grant.access_token, "token_type_hint": hint}
        answer = await self._ask((await self.provider()).revocation_endpoint, parameters)
        if answer.status != HTTPStatus.OK:
            raise UnavailableError(f"status {answer.status}")

    async def _ask(self, address: str, parameters: Mapping[str, str]) -> HttpAnswer:
        headers = {
            "Accept": "application/json",
            "Authorization": client_authorization(self._client.client_id, self._client.secret.value),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        request = HttpRequest("POST", address, headers, urlencode(parameters).encode())
        try:
            return await self._exchange.send(request, _PATIENCE_S)
        except Exception as e:
            logger.warning("The authentication service does not answer: %s", type(e).__name__)
            raise UnavailableError(type(e).__name__) from e


async def _metadata(server: HomeserverClient) -> tuple[Mapping[str, Any], str]:
    for path, scope_prefix in METADATA:
        try:
            return await server.get(path), scope_prefix
        except NotFoundError:
            continue
    logger.error("`config.mas` is set, but this homeserver names no authentication service")
    raise UnavailableError("there is no authentication service")


def _granted(answer: HttpAnswer) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise UnavailableError(f"status {answer.status} without a JSON object")
    if answer.status == HTTPStatus.OK:
        return body
    error = str(body.get("error", ""))
    if error == "invalid_grant":
        raise UnauthorisedError(error)
    logger.error("The authentication service refuses the portal with status %d: %s", answer.status, error[:100])
    raise UnavailableError(f"status {answer.status}")
