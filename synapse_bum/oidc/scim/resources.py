"""A user as SCIM sends and receives it (RFC 7643 3, 4.1). Pure.

What is kept of one is `ScimUser`. Other attributes of the core and enterprise schemas, and unknown ones, are accepted
and forgotten: identity providers send whatever their administrators have mapped.
"""

import hashlib
import json
import unicodedata
from datetime import datetime, timedelta, timezone
from typing import Final

import attr

from synapse_bum.oidc.scim.attributes import CORE_USER, OWN_USER
from synapse_bum.oidc.scim.emails import Email, read_emails
from synapse_bum.oidc.scim.errors import InvalidValueError, ScimError
from synapse_bum.oidc.scim.values import read_boolean, read_members, read_schemas, read_text

MAX_USER_NAME: Final = 320
MAX_EXTERNAL_ID: Final = 255
MAX_NAME: Final = 256

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScimUser:
    """What an identity provider says of a person.

    Attributes:
        user_name: the login name as it is written there.
        external_id: what the identity provider calls this person.
        display_name: the name to show.
        given_name: part of the name.
        family_name: part of the name.
        emails: at most 20, at most one of them primary.
        active: whether the person may use the account.
    """

    user_name: str
    external_id: str | None = None
    display_name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    emails: tuple[Email, ...] = ()
    active: bool = True

    @property
    def shown_name(self) -> str | None:
        """The name to show: the display name, or else given and family name."""
        parts = (part for part in (self.given_name, self.family_name) if part is not None)
        return self.display_name or " ".join(parts) or None


def user_name_key(user_name: str) -> str:
    """What two login names have in common that SCIM takes for one (RFC 7643 4.1.1: `caseExact` false).

    `ss` and sharp s stay two letters, so this is no case folding.
    """
    return unicodedata.normalize("NFC", user_name.lower())


def parse_user(body: object, *, replaces: ScimUser | None = None) -> ScimUser:
    """Reads the body of POST or PUT.

    Args:
        body: parsed JSON, whatever it is.
        replaces: what a PUT replaces. `active` and `externalId` that the body lacks stay as they are: a PUT that does
            not mention them must neither let a leaver in again nor lose who he is (RFC 7644 3.5.1 leaves it open).
            Whether `externalId` may change is not decided here.

    Raises:
        InvalidSyntaxError: it is no user.
        InvalidValueError: an attribute is missing, of the wrong type, too long, or holds control characters.
    """
    members = read_members(body, "The body")
    read_schemas(members, CORE_USER)
    name = {} if members.get("name") is None else read_members(members["name"], "name")
    external_id = read_external_id(members.get("externalid"))
    active = members.get("active")
    return ScimUser(
        user_name=read_user_name(members.get("username")),
        external_id=external_id if external_id is not None or replaces is None else replaces.external_id,
        display_name=read_text(members.get("displayname"), "displayName", MAX_NAME),
        given_name=read_text(name.get("givenname"), "name.givenName", MAX_NAME),
        family_name=read_text(name.get("familyname"), "name.familyName", MAX_NAME),
        emails=read_emails(members.get("emails")),
        active=(replaces is None or replaces.active) if active is None else read_boolean(active, "active"),
    )


def put_says_inactive(body: object) -> bool:
    """Whether the body of a PUT ends access, whatever is wrong with the rest of it.

    Args:
        body: parsed JSON, whatever it is.
    """
    try:
        members = read_members(body, "The body")
        read_schemas(members, CORE_USER)
        active = members.get("active")
        return active is not None and not read_boolean(active, "active")
    except ScimError:
        return False


def read_user_name(value: object) -> str:
    """A login name.

    Raises:
        InvalidValueError: it is missing, no text, too long, or holds control characters.
    """
    user_name = read_text(value, "userName", MAX_USER_NAME)
    if user_name is None:
        raise InvalidValueError("userName is required.")
    return user_name


def read_external_id(value: object) -> str | None:
    """What the identity provider calls the person; None for no value.

    Raises:
        InvalidValueError: it is no text, too long, or holds control characters.
    """
    return read_text(value, "externalId", MAX_EXTERNAL_ID)


def render(
    user: ScimUser, *, resource_id: str, user_id: str, created_ts: int, modified_ts: int, location: str
) -> dict[str, object]:
    """The document of a user, with an extension of our own that says which account it is.

    Args:
        user: what is kept.
        resource_id: SCIM's `id`.
        user_id: Matrix user id of the account.
        created_ts: when it was created, in ms since the epoch.
        modified_ts: when it was changed last, in ms since the epoch.
        location: its absolute URL.
    """
    name = {"familyName": user.family_name, "givenName": user.given_name}
    optional = {
        "externalId": user.external_id,
        "name": {key: part for key, part in name.items() if part is not None},
        "displayName": user.display_name,
        "emails": [email.document() for email in user.emails],
    }
    content: dict[str, object] = {
        "schemas": [CORE_USER, OWN_USER],
        "id": resource_id,
        "userName": user.user_name,
        **{key: value for key, value in optional.items() if value},
        "active": user.active,
        OWN_USER: {"userId": user_id},
    }
    meta = {
        "resourceType": "User",
        "created": timestamp(created_ts),
        "lastModified": timestamp(modified_ts),
        "location": location,
        "version": _version(content, modified_ts),
    }
    return {**content, "meta": meta}


def timestamp(ts: int) -> str:
    """A time in ms since the epoch as SCIM writes it (RFC 7643 2.3.5), in UTC."""
    return (_EPOCH + timedelta(milliseconds=ts)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ts % 1000:03d}Z"


def _version(content: dict[str, object], modified_ts: int) -> str:
    """A weak entity tag (RFC 7644 3.14): other content or another time, another tag."""
    text = json.dumps([modified_ts, content], sort_keys=True)
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
