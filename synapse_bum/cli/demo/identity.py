"""Steps about people who sign in with an identity provider: whose account it is, what a role does, and how they leave.

The provider is a small one in this process that says of people what Keycloak says.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import attr

from synapse_bum.cli.demo.promise import BrokenPromiseError, require, wait_until
from synapse_bum.cli.demo.stage import ADMIN_ROLE, IDP_ID, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.oidc_provider import keycloak_person
from synapse_bum.testing.signed_in import display_name, is_server_admin
from synapse_bum.testing.sso_browser import LoginRefusedError, Page

_SCIM_USERS: Final = "/_synapse/client/bum/scim/v2/Users"
_RENAMING_SECONDS: Final = 20.0
_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Person:
    """Somebody with an account at the identity provider, which calls him by a subject that never changes."""

    stage: Stage
    subject: str = attr.ib(factory=lambda: str(uuid4()), kw_only=True)

    def is_known_as(self, user_name: str, name: str, *roles: str) -> None:
        claims = keycloak_person(self.subject, user_name, name, roles).claims
        self.stage.identity_provider.know(claims)

    def signs_in(self, user_name: str) -> MatrixClient:
        return self.stage.browser().log_in(IDP_ID, user_name, self.stage.identity_provider.password)

    def is_refused(self, user_name: str) -> Page:
        """Insist that the homeserver does not let him in; returns the page that he sees."""
        try:
            client = self.signs_in(user_name)
        except LoginRefusedError as refused:
            refused_here = refused.page.url.startswith(self.stage.synapse.base_url)
            require(refused_here, f"The identity provider refused, not the homeserver: {refused}.")
            return refused.page
        raise BrokenPromiseError(f"The login was not refused: it led to {client.user_id}.")


def _localpart(client: MatrixClient) -> str:
    return client.user_id[1:].partition(":")[0]


def _whoami(client: MatrixClient) -> int:
    """The HTTP status that a device gets from now on."""
    return client.get("/_matrix/client/v3/account/whoami").status


def _audited(stage: Stage, action: str, user: MatrixClient) -> dict[str, Any]:
    """Insist on one row of the audit about somebody, and return it."""
    rows = [row for row in stage.read(f"audit?action={action}")["audit"] if row["target"] == user.user_id]
    require(len(rows) == 1, f"The audit has {len(rows)} rows `{action}` about {user.user_id}, not one.")
    row: dict[str, Any] = rows[0]
    return row


def _names(stage: Stage) -> Iterator[str]:
    juergen, namesake, other_alice = _Person(stage), _Person(stage), _Person(stage)
    juergen.is_known_as("jürgen.groß", "Jürgen Groß")
    namesake.is_known_as("juergen.gross", "Juergen Gross")
    other_alice.is_known_as("alice", "Another Alice")
    first = juergen.signs_in("jürgen.groß")
    name = display_name(first)
    require(_localpart(first) == "juergen.gross", f"Jürgen Groß got the account {first.user_id}.")
    require(name == "Jürgen Groß", f"His display name is {name}.")
    yield f"`jürgen.groß` signs in: he is {first.user_id}, and is called {name}."
    second = namesake.signs_in("juergen.gross")
    require(_localpart(second).startswith("juergen.gross-"), f"`juergen.gross` got the account {second.user_id}.")
    again = namesake.signs_in("juergen.gross")
    require(again.user_id == second.user_id, f"The next time he got another account, {again.user_id}.")
    yield f"Somebody else is `juergen.gross` there. He is {second.user_id}, at his next login too."
    third = other_alice.signs_in("alice")
    require(_localpart(third).startswith("alice-"), f"`alice` got the account {third.user_id}.")
    yield f"`alice` signs in there and does not get Alice's account, which was here before: she is {third.user_id}."


def _roles(stage: Stage) -> Iterator[str]:
    erika, boss = _Person(stage), _Person(stage)
    erika.is_known_as("erika.muster", "Erika Muster")
    first = erika.signs_in("erika.muster")
    require(not is_server_admin(first), "Without the role she is an administrator.")
    erika.is_known_as("erika.muster", "Erika Muster", ADMIN_ROLE)
    require(is_server_admin(erika.signs_in("erika.muster")), "With the role she is no administrator.")
    granted = _audited(stage, "oidc.admin.granted", first)
    yield f"Erika gets the role `{ADMIN_ROLE}`. At her next login she is an administrator."
    erika.is_known_as("erika.neu", "Erika Neu")
    renamed = erika.signs_in("erika.neu")
    require(renamed.user_id == first.user_id, f"With another name she got another account, {renamed.user_id}.")
    require(not is_server_admin(renamed), "Without the role she is still an administrator.")
    require(not is_server_admin(first), "With a token from before she is still an administrator.")
    # No login waits for the name, which is brought to all rooms of the person.
    wait_until(lambda: display_name(renamed) == "Erika Neu", _RENAMING_SECONDS, "Her new display name was not set")
    revoked = _audited(stage, "oidc.admin.revoked", first)
    yield f"She marries, and loses the role. As `erika.neu` she is {renamed.user_id} as before, an ordinary user."
    actors = {granted["actor"], revoked["actor"]}
    require(actors == {f"idp:{IDP_ID}"}, f"The audit names {actors} as who did it.")
    yield f"The audit names `idp:{IDP_ID}` as who gave and took the right."
    boss.is_known_as("boss", "Boss")
    client = boss.signs_in("boss")
    path = f"/_synapse/admin/v1/users/{quote(client.user_id)}/admin"
    require(stage.admin.put(path, {"admin": True}).status == HTTPStatus.OK, "He could not be appointed by hand.")
    require(is_server_admin(boss.signs_in("boss")), "Who was appointed by hand is none any more after his next login.")
    yield "Somebody without the role who was appointed by hand stays an administrator, at his next login too."


def _set_active(stage: Stage, subject: str, *, active: bool) -> None:
    """Do what an identity provider does when somebody leaves or comes back: find him, and change one attribute."""
    found = stage.scim.get(_SCIM_USERS, filter=f'externalId eq "{subject}"')
    require(found.status == HTTPStatus.OK, f"SCIM's search was answered with HTTP {found.status}, not with 200.")
    people = found.json["Resources"]
    require(len(people) == 1, f"SCIM finds {len(people)} people, not one.")
    body = {"schemas": [_PATCH], "Operations": [{"op": "replace", "path": "active", "value": active}]}
    answer = stage.scim.request("PATCH", f"{_SCIM_USERS}/{people[0]['id']}", json_body=body)
    require(answer.status == HTTPStatus.OK, f"SCIM's change was answered with HTTP {answer.status}, not with 200.")
    require(answer.json["active"] is active, f"After the change SCIM says `active: {answer.json['active']}`.")


def _leaving(stage: Stage) -> Iterator[str]:
    lena = _Person(stage)
    lena.is_known_as("lena.leaver", "Lena Leaver")
    laptop = lena.signs_in("lena.leaver")
    require(_whoami(laptop) == HTTPStatus.OK, "Her device does not work.")
    sessions = stage.identity_provider.log_out(lena.subject)
    status = _whoami(laptop)
    require(sessions == 1, f"She had {sessions} sessions at the identity provider, not one.")
    require(status == HTTPStatus.UNAUTHORIZED, f"After the logout her device gets HTTP {status}, not 401.")
    yield f"Lena's session at the identity provider is ended there. Her device is out at once: HTTP {status}."
    phone = lena.signs_in("lena.leaver")
    _set_active(stage, lena.subject, active=False)
    status = _whoami(phone)
    require(status == HTTPStatus.UNAUTHORIZED, f"After `active: false` her device gets HTTP {status}, not 401.")
    page = lena.is_refused("lena.leaver")
    yield (
        "She signs in again, and leaves the organisation. It sends SCIM's `active: false`, and her device is out at"
        f" once: HTTP {status}. The identity provider would still let her in; the homeserver does not: HTTP"
        f" {page.status}."
    )
    actor = _audited(stage, "oidc.scim.ended", phone)["actor"]
    require(actor == f"scim:{IDP_ID}", f"The audit names {actor} as who did it.")
    _set_active(stage, lena.subject, active=True)
    back = lena.signs_in("lena.leaver")
    require(back.user_id == phone.user_id, f"Back again she got another account, {back.user_id}.")
    yield f"The audit names `{actor}`. With `active: true` she is back, with the account that she had."


STEPS: Final = (
    Step(
        "People sign in with an identity provider",
        "an account belongs to a person, not to a name, so nobody gets what is somebody else's",
        _names,
    ),
    Step(
        "A role makes administrators, and unmakes them",
        "who administers the server is decided where people are administered, and what was decided by hand is kept",
        _roles,
    ),
    Step(
        "Who leaves is out at once",
        "a closed account is closed within a request, and given back as it was when that was a mistake",
        _leaving,
    ),
)
