"""People of three identity providers and what was ever wrong with their claims: what each of them must get."""

import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attr

from synapse_bum.oidc.mapping import AdminClaim
from synapse_bum.testing.identity_tokens import (
    ENTRA_OID,
    KEYCLOAK_SUBJECT,
    OKTA_SUBJECT,
    OTHER_TENANT,
    TENANT,
    entra_config,
    entra_token,
    generic_config,
    keycloak_config,
    keycloak_token,
    okta_config,
    okta_userinfo,
)

_MEGABYTE: Final = 1_000_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ClaimsCase:
    """One person.

    Attributes:
        name: of the case, unique.
        config: of the mapping provider, as an operator writes it.
        claims: what the identity provider says.
        allowed: whether the person may log in; with False the following are not asked.
        subject: for ever.
        localpart: of a new account.
        display_name: None for none.
        email: None for none.
        admin: administrator or not.
        because: a piece of a sentence among the reasons; empty: any.
    """

    name: str
    config: Mapping[str, Any]
    claims: Mapping[str, Any]
    allowed: bool = True
    subject: str | None = None
    localpart: str | None = None
    display_name: str | None = None
    email: str | None = None
    admin: AdminClaim = AdminClaim.UNKNOWN
    because: str = ""


_AT_ENTRA: Final = ClaimsCase(
    name="Entra ID",
    config=entra_config(),
    claims=entra_token(),
    subject=f"{TENANT}:{ENTRA_OID}",
    localpart="juergen.gross",
    display_name="Jürgen Groß",
    admin=AdminClaim.NO,
)
_AT_OKTA: Final = ClaimsCase(
    name="Okta",
    config=okta_config(),
    claims=okta_userinfo(),
    subject=OKTA_SUBJECT,
    localpart="juergen.gross",
    display_name="Jürgen Groß",
    email="juergen.gross@bund.example",
    admin=AdminClaim.NO,
)
_AT_KEYCLOAK: Final = attr.evolve(
    _AT_OKTA, name="Keycloak", config=keycloak_config(), claims=keycloak_token(), subject=KEYCLOAK_SUBJECT
)


def _variant(
    person: ClaimsCase,
    name: str,
    config: Mapping[str, Any] | None = None,
    /,
    **expected: Any,  # noqa: ANN401 - fields
) -> ClaimsCase:
    return attr.evolve(person, name=f"{person.name}: {name}", config=config or person.config, **expected)


_entra: Final = partial(_variant, _AT_ENTRA)
_okta: Final = partial(_variant, _AT_OKTA)
_keycloak: Final = partial(_variant, _AT_KEYCLOAK)


def _refused(because: str, claims: Mapping[str, Any]) -> dict[str, Any]:
    return {"allowed": False, "because": because, "claims": claims}


def _login(name: str) -> dict[str, Any]:
    return keycloak_token(preferred_username=name)


def _synapse_roles(*roles: object) -> dict[str, Any]:
    return {"account": {"roles": ["manage-account"]}, "synapse": {"roles": list(roles)}}


def _deep(levels: int) -> object:
    nested: object = "messenger-admin"
    for _ in range(levels):
        nested = [nested]
    return nested


_FILLERS: Final = "\u3164\u115f\u1160\uffa0\u2800\u034f\u17b4\u180b\ufe00\U000e0100\U000e01ef"
_ADMIN: Final = {"admin": AdminClaim.YES, "because": "makes an administrator"}
_UNREADABLE: Final = {"admin": AdminClaim.UNKNOWN, "because": "no list of texts"}
_OVERAGE: Final[Mapping[str, Any]] = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://graph.example"}},
}
_GROUP_ID: Final = "0f2d2f9e-6a0c-4d57-9a8c-3c1d7a5e8b21"
_BY_GROUP: Final = entra_config(groups_path="groups", admin_roles=[_GROUP_ID])
_OKTA_BOTH: Final = okta_config(roles_path="roles")
_OKTA_ROLES: Final = okta_userinfo(["groups"], roles=["user"])
_BY_EITHER: Final = entra_config(groups_path="groups", admin_roles=[_GROUP_ID, "Messenger.Admin"])
_ENTRA_ADMIN: Final = entra_token(roles=["Messenger.Admin"])
_BY_PATH: Final = keycloak_config(groups_path="groups", admin_roles=["/amt/it/admins"])
_UNUSED_PATHS: Final = keycloak_config(groups_path="groups")
_MEMBERS_ONLY: Final = keycloak_config(required_roles=["messenger-user", "messenger-admin"])

_ENTRA: Final = (
    _entra("an ordinary person"),
    _entra("ids in upper case", claims=entra_token(tid=TENANT.upper(), oid=ENTRA_OID.upper())),
    _entra("an administrator", claims=entra_token(roles=["Messenger.User", "Messenger.Admin"]), **_ADMIN),
    _entra("nobody has a role any more", claims=entra_token(without=["roles"]), admin=AdminClaim.UNKNOWN),
    _entra("renamed", claims=entra_token(preferred_username="J.Klein@bund.example"), localpart="j.klein"),
    _entra("another domain", claims=entra_token(preferred_username="Juergen.Gross@other.example")),
    _entra("no domain", claims=entra_token(preferred_username="Juergen.Gross")),
    _entra("no `sub`", claims=entra_token(without=["sub"])),
    _entra("address trusted", entra_config(trust_email=True), email="juergen.gross@bund.example"),
    _entra("a verified address is not trusted", claims=entra_token(email_verified=True)),
    _entra("a member by `acct`", claims=entra_token(acct=0)),
    _entra("a guest by `acct`", **_refused("Guests", entra_token(acct=1))),
    _entra("a guest by `acct` as text", **_refused("Guests", entra_token(acct="1"))),
    _entra("an `acct` that says nothing", **_refused("Guests", entra_token(acct=["0"]))),
    _entra("a member whom the issuer has authenticated", claims=entra_token(idp=entra_token()["iss"])),
    _entra("no `idp`", claims=entra_token(idp=None)),
    _entra("a guest by `idp`", **_refused("Guests", entra_token(idp=f"https://sts.windows.net/{OTHER_TENANT}/"))),
    _entra("a guest by `idp` of the wrong type", **_refused("Guests", entra_token(idp=["x"], iss=["x"]))),
    _entra("an `idp` and no issuer", **_refused("Guests", entra_token(["iss"], idp="https://issuer.example"))),
    _entra("a guest by `upn` only", **_refused("Guests", entra_token(upn="a_b.example#EXT#@c.example"))),
    _entra("a guest by name", **_refused("Guests", entra_token(preferred_username="a_b.example#EXT#@c.example"))),
    _entra("a guest by name, written small", **_refused("Guests", entra_token(preferred_username="a#ext#@c.example"))),
    _entra(
        "a guest who is welcome",
        entra_config(deny_guests=False),
        claims=entra_token(preferred_username="max_mail.example#EXT#@bund.example", acct=1),
        localpart="max_mail.example=23ext=23",
    ),
    _entra("another tenant", **_refused("`tid`", entra_token(tid=OTHER_TENANT))),
    _entra("no tenant", **_refused("`tid`", entra_token(without=["tid"]))),
    _entra("tenant of the wrong type", **_refused("`tid`", entra_token(tid=[TENANT]))),
    _entra("no `oid`", **_refused("`oid`", entra_token(without=["oid"]))),
    _entra("a colon in the `oid`", **_refused("colon", entra_token(oid="a:b"))),
    _entra("nothing before the `@`", **_refused("before the `@`", entra_token(preferred_username="@bund.example"))),
    _entra("group overage", _BY_GROUP, claims=entra_token(**_OVERAGE), admin=AdminClaim.UNKNOWN, because="fits"),
    _entra("`hasgroups`", _BY_GROUP, claims=entra_token(hasgroups=True), admin=AdminClaim.UNKNOWN, because="fits"),
    _entra("in no group", _BY_GROUP, claims=entra_token(), admin=AdminClaim.UNKNOWN, because="groups are missing"),
    _entra("no list of groups, and administrator by role", _BY_EITHER, claims=_ENTRA_ADMIN, **_ADMIN),
    _entra("in other groups", _BY_GROUP, claims=entra_token(groups=["x"]), admin=AdminClaim.NO),
    _entra("overage of groups that nobody reads", claims=entra_token(**_OVERAGE)),
    _entra("administrator by group", _BY_GROUP, claims=entra_token(groups=[_GROUP_ID]), **_ADMIN),
    _entra("group without `groups_path`", claims=entra_token(groups=["Messenger.Admin"])),
    _entra("role list as text", claims=entra_token(roles="Messenger.Admin"), **_UNREADABLE),
    _entra("role list with a number", claims=entra_token(roles=["Messenger.Admin", 1]), **_UNREADABLE),
    _entra("role list as mapping", claims=entra_token(roles={"Messenger.Admin": True}), **_UNREADABLE),
)

_OKTA: Final = (
    _okta("an ordinary person"),
    _okta("an administrator", claims=okta_userinfo(groups=["Everyone", "messenger-admins"]), **_ADMIN),
    _okta("a group of nearly that name", claims=okta_userinfo(groups=["/messenger-admins", "Messenger-Admins"])),
    _okta("a thin ID token", claims=okta_userinfo(without=["groups"]), admin=AdminClaim.UNKNOWN),
    _okta("no list of groups", _OKTA_BOTH, claims=_OKTA_ROLES, admin=AdminClaim.UNKNOWN, because="groups are missing"),
    _okta("groups that are not read", okta_config(groups_path=None, admin_roles=[]), admin=AdminClaim.UNKNOWN),
    _okta("address not verified", claims=okta_userinfo(email_verified=False), email=None, because="email_verified"),
    _okta("address verified in a text", claims=okta_userinfo(email_verified="true"), email=None),
    _okta("address without word of it", claims=okta_userinfo(without=["email_verified"]), email=None),
    _okta("address of two", claims=okta_userinfo(email="a@b.example, c@d.example"), email=None, because="plain"),
    _okta("address with a line", claims=okta_userinfo(email="a@b.example\nBcc: c@d.example"), email=None),
    _okta("address of 300 characters", claims=okta_userinfo(email=f"a@{'b' * 300}.example"), email=None),
    _okta("address as a list", claims=okta_userinfo(email=["a@b.example"]), email=None, because="`email` is no text"),
    _okta("login name without domain", claims=okta_userinfo(preferred_username="jgross"), localpart="jgross"),
    _okta("subject as a number", **_refused("`sub`", okta_userinfo(sub=4711))),
)

_KEYCLOAK: Final = (
    _keycloak("an ordinary person"),
    _keycloak("administrator", claims=keycloak_token(resource_access=_synapse_roles("messenger-admin")), **_ADMIN),
    _keycloak("by the realm", claims=keycloak_token(realm_access={"roles": ["messenger-admin"]}), **_ADMIN),
    _keycloak(
        "the role of another client",
        claims=keycloak_token(resource_access={"other": {"roles": ["messenger-admin"]}}),
    ),
    _keycloak(
        "no `client_id`, so no client's roles",
        keycloak_config(client_id=None),
        claims=keycloak_token(resource_access=_synapse_roles("messenger-admin")),
    ),
    _keycloak("a group of the role's name", claims=keycloak_token(groups=["messenger-admin", "/messenger-admin"])),
    _keycloak("no roles", claims=keycloak_token(["realm_access", "resource_access"]), admin=AdminClaim.UNKNOWN),
    _keycloak("roles as text", claims=keycloak_token(realm_access={"roles": "messenger-admin"}), **_UNREADABLE),
    _keycloak("`realm_access` as a list", claims=keycloak_token(realm_access=["messenger-admin"]), **_UNREADABLE),
    _keycloak("roles nested deep", claims=keycloak_token(realm_access={"roles": _deep(500)}), **_UNREADABLE),
    _keycloak("a group by its path", _BY_PATH, claims=keycloak_token(groups=["/amt/it/admins"]), **_ADMIN),
    _keycloak("the leaf of another group", _BY_PATH, claims=keycloak_token(groups=["/x/amt/it/admins", "/admins"])),
    _keycloak("a leaf", _BY_PATH, claims=keycloak_token(groups=["admins", "amt/it/admins"]), because="full path"),
    _keycloak("a role like a path", _BY_PATH, claims=keycloak_token(realm_access={"roles": ["/amt/it/admins"]})),
    _keycloak("no groups", _BY_PATH, claims=keycloak_token(without=["groups"]), admin=AdminClaim.UNKNOWN),
    _keycloak("no groups, and only roles make administrators", _UNUSED_PATHS, claims=keycloak_token(["groups"])),
    _keycloak("a member", _MEMBERS_ONLY),
    _keycloak(
        "no member",
        _MEMBERS_ONLY,
        **_refused("required_roles", keycloak_token(resource_access=_synapse_roles())),
    ),
    _keycloak("membership unknown", _MEMBERS_ONLY, **_refused("required_roles", keycloak_token(["resource_access"]))),
    _keycloak("umlauts taken apart", claims=_login(unicodedata.normalize("NFD", "Jürgen.Groß"))),
    _keycloak("capitals", claims=_login("JÜRGEN.GROẞ")),
    _keycloak("a space", claims=_login(" Jürgen  Groß "), localpart="juergen.gross"),
    _keycloak("a Swede", claims=_login("Åsa Sjöström"), localpart="aasa.sjoestroem"),
    _keycloak("a Pole", claims=_login("Łukasz.Żółć"), localpart="lukasz.zolc"),
    _keycloak("a Vietnamese", claims=_login("Nguyễn-Đặng"), localpart="nguyen-dang"),
    _keycloak("a Bulgarian", claims=_login("Ян"), localpart="=d1=8f=d0=bd"),
    _keycloak("an address as login name", claims=_login("j@b.example"), localpart="j=40b.example"),
    _keycloak("signs", claims=_login("_o'neill/x=y_z+1"), localpart="=5fo=27neill=2fx=3dy_z+1"),
    _keycloak("digits", claims=_login("4711"), localpart="u4711"),
    _keycloak("emoji as login name", claims=_login("😀"), localpart="=f0=9f=98=80"),
    _keycloak("login name with NUL", **_refused("nobody sees", _login("root\0"))),
    _keycloak("login name with a line", **_refused("nobody sees", _login("root\nadmin"))),
    _keycloak("login name that runs backwards", **_refused("nobody sees", _login("\u202etoor"))),
    _keycloak("login name with a zero-width space", **_refused("nobody sees", _login("ro\u200bot"))),
    _keycloak("login name with half a character", **_refused("nobody sees", _login("a\ud800"))),
    _keycloak("login name with a paragraph", **_refused("nobody sees", _login("a\u2029b"))),
    _keycloak("login name missing", **_refused("missing", keycloak_token(["preferred_username"]))),
    _keycloak("login name null", **_refused("missing", keycloak_token(preferred_username=None))),
    _keycloak("login name of spaces", **_refused("empty", _login("  \u00a0"))),
    _keycloak("login name a number", **_refused("no text", keycloak_token(preferred_username=1))),
    _keycloak("login name of a megabyte", **_refused("1000 characters", _login("a" * _MEGABYTE))),
    _keycloak("subject missing", **_refused("`sub`", keycloak_token(["sub"]))),
    _keycloak("subject empty", **_refused("`sub`", keycloak_token(sub=""))),
    _keycloak("subject true", **_refused("`sub`", keycloak_token(sub=True))),
    _keycloak("subject with NUL", **_refused("control", keycloak_token(sub="a\0b"))),
    _keycloak("subject of 256 characters", **_refused("255", keycloak_token(sub="a" * 256))),
    _keycloak("subject of a megabyte", **_refused("255", keycloak_token(sub="a" * _MEGABYTE))),
    _keycloak("no display name", claims=keycloak_token(["name"]), display_name=None),
    _keycloak("display name as a mapping", claims=keycloak_token(name={}), display_name=None, because="`name`"),
    _keycloak("display name of fillers", claims=keycloak_token(name=_FILLERS), display_name=None),
    _keycloak("fillers in a display name", claims=keycloak_token(name=f"a{_FILLERS}b"), display_name="ab"),
    _keycloak("a red heart", claims=keycloak_token(name="A \u2764\ufe0f"), display_name="A \u2764\ufe0f"),
    _keycloak("display name of marks", claims=keycloak_token(name="\u202e\u200f \n\0"), display_name=None),
    _keycloak("display name that runs backwards", claims=keycloak_token(name="a\u202eb\u2066c"), display_name="abc"),
    _keycloak("display name of lines", claims=keycloak_token(name=" Jürgen\r\n\tGroß\0 "), display_name="Jürgen Groß"),
    _keycloak(
        "a family",
        claims=keycloak_token(name="\U0001f469\u200d\U0001f467 A"),
        display_name="\U0001f469\u200d\U0001f467 A",
    ),
    _keycloak("display name of a megabyte", claims=keycloak_token(name="ä" * _MEGABYTE), display_name="ä" * 256),
)

_GENERIC: Final = (
    ClaimsCase(
        name="Generic: a number as subject",
        config=generic_config(),
        claims={"sub": 4711, "preferred_username": "a"},
        subject="4711",
        localpart="a",
    ),
    ClaimsCase(
        name="Generic: claims of its own",
        config=generic_config(
            subject_claims=["realm", "uid"], localpart_claim="uid", display_name_claim="cn", email_claim="mail",
            roles_path=["https://x.example/roles"], admin_roles=["boss"], trust_email=True,
        ),
        claims={"realm": "r", "uid": "Ü", "cn": "Ü Ä", "mail": "Ü@X.example", "https://x.example/roles": ["boss"]},
        subject="r:Ü",
        localpart="ue",
        display_name="Ü Ä",
        email="ü@x.example",
        admin=AdminClaim.YES,
    ),
    ClaimsCase(
        name="Generic: true as subject",
        config=generic_config(),
        **_refused("no text", {"sub": True, "preferred_username": "a"}),
    ),
    ClaimsCase(
        name="Generic: a huge number",
        config=generic_config(),
        **_refused("255 digits", {"sub": 10**5000, "preferred_username": "a"}),
    ),
    ClaimsCase(name="Generic: nothing", config=generic_config(), **_refused("missing", {})),
)  # fmt: skip

CLAIMS_CORPUS: Final[tuple[ClaimsCase, ...]] = (*_ENTRA, *_OKTA, *_KEYCLOAK, *_GENERIC)
"""All of them."""
