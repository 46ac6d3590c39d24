"""The routes below `oidc/`: what claims would lead to, and who is linked to which account."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Cursor, Database
from synapse_bum.homeserver.account_access import account_of
from synapse_bum.homeserver.external_ids import Link, LinkFilter, count_links, page_of_links
from synapse_bum.homeserver.sql_lists import in_chunks, marks
from synapse_bum.homeserver.user_emails import holder_of
from synapse_bum.identifiers import is_user_id
from synapse_bum.oidc import localparts, people
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.localparts import Choice, Newcomer, Outcome
from synapse_bum.oidc.mapping import AdminClaim, Decision, MappingConfig, decide
from synapse_bum.reading import Path, fail, option, text
from synapse_bum.rest import Answer, ApiRequest, Page, Routes, invalid_param

_NO_NAME: Final = {
    Outcome.UNDER_WAY: "An account with the user name was made within the last minute, perhaps the person's own",
    Outcome.NONE_LEFT: "All user names that could be the person's are taken or reserved",
}

# By primary key, for the accounts of one page.
_GRANTS: Final = "SELECT user_id, idp_id FROM synapse_bum_oidc_admin_grants WHERE user_id IN ({marks})"


def _claims(value: object, path: Path) -> dict[str, object]:
    if not isinstance(value, dict):
        fail(path, "must be an object: the claims of one person, as the identity provider sends them")
    return value


class _Only(Enum):
    """What `only` narrows the list of links to."""

    ADMINISTRATORS = "administrators"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PreviewBody:
    """The body of a preview.

    Attributes:
        idp_id: as in `oidc_providers`.
        claims: of a person.
    """

    idp_id: str = option(text)
    claims: dict[str, object] = option(_claims)  # noqa: RUF009 - makes an attrs field


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Found:
    """What the database says of a person.

    Attributes:
        choice: which account he has, or would get.
        obstacle: why he can't log in nevertheless; None when nothing is in the way.
        address_is_taken: whether somebody else has his address.
    """

    choice: Choice
    obstacle: str | None
    address_is_taken: bool


class OidcApi:
    """The handlers of the identity routes."""

    def __init__(
        self, api: ModuleApi, database: Database, config: OidcConfig, providers: Mapping[str, MappingConfig]
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the identity tables.
            config: of the module.
            providers: whose claims are mapped here, by `idp_id`.
        """
        self._api = api
        self._database = database
        self._follows_roles = config.admin_sync
        self._providers = providers

    def add_to(self, routes: Routes) -> None:
        """Adds the routes."""
        routes.add("POST", "oidc/preview", self.preview)
        routes.add("GET", "oidc/links", self.links)

    async def preview(self, request: ApiRequest) -> Answer:
        """What a login with some claims would lead to now; changes nothing."""
        body = request.body(PreviewBody)
        config = self._provider(body.idp_id)
        decision = decide(config, body.claims)
        if not decision.allowed:
            return Answer(_refused(decision.reasons))
        person = localparts.newcomer(self._api, config, decision)
        found = await self._database.run(
            "synapse_bum_oidc_preview", _look_up, person, decision, self._api.get_current_time_msec()
        )
        if found.obstacle is not None:
            return Answer(_refused((*decision.reasons, found.obstacle)))
        return Answer(_allowed(decision, found, follows_roles=self._follows_roles))

    async def links(self, request: ApiRequest) -> Answer:
        """A page of linked accounts, by provider and subject."""
        page, user_id, idp_id = request.page(), request.query.text("user_id"), request.query.text("idp_id")
        if user_id is not None and not is_user_id(user_id):
            raise invalid_param("user_id", "must be a user id such as @alice:example.org")
        wanted = LinkFilter(
            user_id,
            None if idp_id is None else self._provider(idp_id).auth_provider,
            of_administrators=request.query.choice("only", _Only) is not None,
        )
        shown, total = await self._database.run("synapse_bum_oidc_links", _page, wanted, page)
        return Answer(page.answer("links", shown, total))

    def _provider(self, idp_id: str) -> MappingConfig:
        config = self._providers.get(idp_id)
        if config is None:
            raise invalid_param("idp_id", f"must be one of {', '.join(self._providers) or '(none is configured)'}")
        return config


def _look_up(txn: LoggingTransaction, person: Newcomer, decision: Decision, now_ms: int) -> _Found:
    choice = localparts.look_up(txn, person, now_ms)
    holder = None if decision.email is None else holder_of(txn, decision.email)
    return _Found(choice, _obstacle(txn, person, choice), holder not in {None, choice.user_id})


def _obstacle(txn: LoggingTransaction, person: Newcomer, choice: Choice) -> str | None:
    if people.is_ended(txn, person.idp_id, person.subject):
        return "SCIM has ended this person's access"
    if choice.user_id is None:
        return _NO_NAME[choice.outcome]
    account = account_of(txn, choice.user_id) if choice.outcome is Outcome.LINKED else None
    if account is None or account.is_open:
        return None
    return f"the person's account {choice.user_id} is {'deactivated' if account.is_deactivated else 'locked'}"


def _allowed(decision: Decision, found: _Found, *, follows_roles: bool) -> dict[str, Any]:
    choice, reasons = found.choice, list(decision.reasons)
    if choice.outcome is Outcome.LINKED:
        reasons.append("the person has this account already")
    elif choice.localpart != decision.localpart:
        reasons.append("the user name has a suffix, because it is taken or reserved without one, or too long")
    if found.address_is_taken:
        reasons.append("the address is left out: it is bound to another account")
    if not follows_roles and decision.admin is AdminClaim.YES:
        reasons.append("nobody is made an administrator by roles here (`admin_sync: false`)")
    return {
        "allowed": True,
        "user_id": choice.user_id,
        "localpart": choice.localpart,
        "display_name": decision.display_name,
        "emails": [] if decision.email is None or found.address_is_taken else [decision.email],
        "admin": follows_roles and decision.admin is AdminClaim.YES,
        "admin_claim": decision.admin.value,
        "reasons": reasons,
    }


def _refused(reasons: Sequence[str]) -> dict[str, Any]:
    return {
        "allowed": False,
        "user_id": None,
        "localpart": None,
        "display_name": None,
        "emails": [],
        "admin": False,
        "admin_claim": AdminClaim.UNKNOWN.value,
        "reasons": list(reasons),
    }


def _page(txn: LoggingTransaction, wanted: LinkFilter, page: Page) -> tuple[list[dict[str, Any]], int]:
    """The links of one page as JSON, and how many there are in all."""
    links = page_of_links(txn, wanted, page.offset, page.limit)
    grants = _grants(txn, [link.user_id for link in links])
    return [_as_json(link, grants) for link in links], count_links(txn, wanted)


def _grants(txn: Cursor, user_ids: Sequence[str]) -> dict[str, set[str]]:
    """Which identity providers have appointed these accounts as administrators."""
    found: dict[str, set[str]] = {}
    for chunk in in_chunks(user_ids, 1):
        txn.execute(_GRANTS.format(marks=marks(len(chunk))), chunk)
        for user_id, idp_id in txn.fetchall():
            found.setdefault(user_id, set()).add(idp_id)
    return found


def _as_json(link: Link, grants: Mapping[str, set[str]]) -> dict[str, Any]:
    idp_id, granted_by = link.auth_provider.removeprefix("oidc-"), grants.get(link.user_id, set())
    return {
        "idp_id": idp_id,
        "subject": link.external_id,
        "user_id": link.user_id,
        "admin_by": _admin_by(link, idp_id, granted_by),
    }


def _admin_by(link: Link, idp_id: str, granted_by: set[str]) -> str | None:
    """`manual` or `idp` for an administrator; None for others, and where another identity provider appointed him."""
    if not link.is_admin:
        return None
    if not granted_by:
        return "manual"
    return "idp" if idp_id in granted_by else None
