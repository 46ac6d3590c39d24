"""The mapping provider: Synapse asks it at each login whose account this is.

In this order (`synapse/handlers/oidc.py`, `synapse/handlers/sso.py`): `get_remote_user_id`; `get_extra_attributes`;
then, for people without an account or with `sso.update_profile_information`, `map_user_attributes`. A confirmation
(user-interactive authentication) asks only the first. What a login changes at the account is written down for
`login.py`, which may act in another process.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from synapse.module_api import ModuleApi

from synapse_bum.config import SetupError
from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.external_ids import known_user
from synapse_bum.homeserver.oidc_settings import ProviderSettings
from synapse_bum.homeserver.sso_names import NOBODYS_NAME, asks_for_known_people
from synapse_bum.homeserver.sso_refusal import refusal
from synapse_bum.oidc import localparts, people
from synapse_bum.oidc.localparts import Outcome
from synapse_bum.oidc.mapping import ClaimError, Decision, MappingConfig, decide, parse_mapping, subject_of
from synapse_bum.oidc.mas.conflict import refuse_beside_mas
from synapse_bum.oidc.providers import settings_of
from synapse_bum.oidc.start_checks import contradictions, doubts
from synapse_bum.oidc.tables import OIDC

logger = logging.getLogger(__name__)

Claims: TypeAlias = Mapping[str, object]

_PROBE: Final = "thisisasubject"
"""With this subject and nothing else Synapse looks at its start whether the mapping uses the `sub` of a logout
(`synapse/handlers/oidc.py`, `_validate_metadata`). The logout itself asks no mapping."""

_REFUSALS: Final = {
    Outcome.LINKED: NOBODYS_NAME,
    Outcome.UNDER_WAY: "Your account is being made, or somebody else just took its name; log in again in a minute",
    Outcome.NONE_LEFT: "All user names that could be yours are taken or reserved; ask this server's administrators",
}


class OidcMappingProvider:
    """`synapse_bum.oidc.OidcMappingProvider` under `user_mapping_provider` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> MappingConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong, or because logins are another service's affair.
        """
        refuse_beside_mas()
        return parse_mapping(config)

    # Synapse counts these parameters: with exactly two it gives a ModuleApi.
    def __init__(self, config: MappingConfig, module_api: ModuleApi) -> None:
        requirements.check(requirements.DATABASE, requirements.LOG_CONTEXTS, requirements.IDENTITY)
        settings = settings_of(module_api, config)
        if settings is not None:
            _check(config, settings)
        self._config = config
        self._api = module_api
        self._database = Database(module_api, OIDC)
        self._database.start()

    def get_remote_user_id(self, userinfo: Claims) -> str:
        """The external id of somebody whose login is allowed.

        Nothing but a `sub` is enough where nothing else is asked of a person: it says who it is, and a login needs a
        name besides, which `get_extra_attributes` looks for. Where roles are required it shows none: whoever asks for
        few scopes would confirm without them. Synapse's probe is no person.

        Raises:
            MappingException: the claims allow no login, and so no confirmation either.
        """
        if userinfo.keys() == {"sub"} and self._subject_suffices(userinfo["sub"]):
            try:
                return subject_of(self._config, userinfo)
            except ClaimError as e:
                raise refusal(str(e)) from None
        return self._allowed(userinfo).subject or ""

    def _subject_suffices(self, subject: object) -> bool:
        config = self._config
        if config.subject_claims != ("sub",) or config.tenant is not None:
            return False
        return not config.required_roles or subject == _PROBE

    async def get_extra_attributes(self, userinfo: Claims, token: object) -> dict[str, Any]:
        """Writes down what the claims of a login say, before Synapse looks for the account.

        Returns:
            nothing for the client.

        Raises:
            MappingException: the login is not allowed, or can't be written down.
        """
        del token
        decision = self._allowed(userinfo)
        now_ms = self._api.get_current_time_msec()
        with _page_instead_of_failure():
            noted = await self._database.run(
                "synapse_bum_oidc_note_login", people.note_login, self._config.idp_id, decision, now_ms
            )
        if not noted:
            raise refusal("Your access to this server has been ended by the identity management of your organisation")
        return {}

    async def map_user_attributes(self, userinfo: Claims, token: object, failures: int) -> dict[str, Any]:
        """The localpart of somebody new, and the display name.

        Returns:
            for somebody who has an account `localpart` is one that nobody can have: Synapse does not read it then.
            There are no addresses: `login.py` binds them.

        Raises:
            MappingException: the login is not allowed, there is no localpart, or the account is a moment old.
        """
        # A name that was taken since the last call is found to be so in the database.
        del token, failures
        decision = self._allowed(userinfo)
        return {
            "localpart": await self._new_localpart(decision),
            "display_name": decision.display_name,
            "picture": None,
            "emails": [],
            "confirm_localpart": False,
        }

    async def _new_localpart(self, decision: Decision) -> str:
        # Never None: when Synapse has not known of the account a moment ago, it would let the person choose any name.
        if await known_user(self._api, self._config.auth_provider, decision.subject or "") is not None:
            if asks_for_known_people(self._api):
                return NOBODYS_NAME
            raise refusal(_REFUSALS[Outcome.LINKED])
        person = localparts.newcomer(self._api, self._config, decision)
        now_ms = self._api.get_current_time_msec()
        with _page_instead_of_failure():
            choice = await self._database.run("synapse_bum_oidc_reserve", localparts.reserve, person, now_ms)
        if choice.outcome is not Outcome.FREE or choice.localpart is None:
            raise refusal(_REFUSALS[choice.outcome])
        return choice.localpart

    def _allowed(self, claims: Claims) -> Decision:
        decision = decide(self._config, claims)
        if not decision.allowed:
            raise refusal("; ".join(decision.reasons))
        return decision


def _check(config: MappingConfig, settings: ProviderSettings) -> None:
    place = f"`oidc_providers`, entry `{config.idp_id}`: "
    wrong = list(contradictions(config, settings))
    if wrong:
        raise SetupError(place + "; ".join(wrong))
    for doubt in doubts(config, settings):
        logger.warning("%s%s", place, doubt)


@contextmanager
def _page_instead_of_failure() -> Iterator[None]:
    """Ends a login with a page also when the database is away: Synapse answers only refusals with one."""
    try:
        yield
    except Exception as e:
        logger.error("A login could not be written down, and was refused: %s", first_line(e))
        raise refusal("The server can't note your login at the moment; try again later") from e
