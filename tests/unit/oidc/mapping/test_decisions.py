"""What each person of the corpus gets, and what no claims can do."""

import json
from typing import Any

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synapse.util.threepids import canonicalise_email

from synapse_bum.oidc.mapping import AdminClaim, ClaimError, MappingConfig, decide, parse_mapping, subject_of
from synapse_bum.testing.claims_corpus import CLAIMS_CORPUS, ClaimsCase
from synapse_bum.testing.identity_tokens import (
    entra_config,
    entra_token,
    generic_config,
    keycloak_config,
    keycloak_token,
    okta_config,
    okta_userinfo,
)

CONFIGS = [
    parse_mapping(config)
    for config in (
        keycloak_config(groups_path="groups", required_roles=["user", "/user"]),
        keycloak_config(groups_path="groups", admin_roles=["user", "/user"]),
        entra_config(groups_path="groups"),
        entra_config(trust_email=True, deny_guests=False),
        okta_config(),
        generic_config(roles_path="a.b", subject_claims=["a", "b"], admin_roles=["user"]),
    )
]
READ = ("sub", "tid", "oid", "acct", "name", "email", "email_verified", "preferred_username", "roles", "groups", "a",
        "realm_access", "resource_access", "_claim_names", "hasgroups")  # fmt: skip

INVISIBLE = {*map(chr, range(32)), *"\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}

texts = st.text(st.characters(), max_size=40) | st.sampled_from(["user", "/user", "synapse", "x@y.example", "#EXT#"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.sampled_from(READ), inner, max_size=4),
    max_leaves=12,
)
any_claims = st.dictionaries(st.sampled_from(READ) | texts, json_values, max_size=12)


@pytest.mark.parametrize("case", CLAIMS_CORPUS, ids=lambda case: case.name)
def test_everybody_gets_what_the_corpus_says(case: ClaimsCase) -> None:
    decision = decide(parse_mapping(case.config), case.claims)
    assert decision.allowed is case.allowed, decision.reasons
    assert any(case.because in reason for reason in decision.reasons or ("",)), decision.reasons
    if case.allowed:
        got = (decision.subject, decision.localpart, decision.display_name, decision.email, decision.admin)
        assert got == (case.subject, case.localpart, case.display_name, case.email, case.admin)
    else:
        assert decision.reasons
        assert (decision.localpart, decision.email, decision.admin) == (None, None, AdminClaim.UNKNOWN)


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CLAIMS_CORPUS}) == len(CLAIMS_CORPUS)


@given(st.sampled_from(CONFIGS), any_claims)
def test_no_claims_raise_and_no_value_is_told(config: MappingConfig, claims: dict[str, Any]) -> None:
    claims = {"secret": "7cGv", **claims}
    decision = decide(config, claims)
    assert not decision.allowed or (decision.subject and decision.localpart)
    marked = {name: "7cGv-marked" if isinstance(value, str) else value for name, value in claims.items()}
    assert "7cGv" not in json.dumps([decision.reasons, decide(config, marked).reasons])


@given(st.sampled_from(CONFIGS), st.sampled_from(READ), st.sampled_from([[], {}]), st.integers(0, 50_000))
def test_no_depth_raises(config: MappingConfig, name: str, empty: Any, depth: int) -> None:  # noqa: ANN401 - JSON
    nested: object = empty
    for _ in range(depth):
        nested = [nested] if empty == [] else {"roles": nested, "synapse": nested}
    claims = {**keycloak_token(), **entra_token(), name: nested}
    decide(config, claims)


@pytest.mark.parametrize("size", [10, 100_000])
def test_long_lists_of_roles_are_read_to_their_end(size: int) -> None:
    config = parse_mapping(keycloak_config())
    roles = [f"role-{number}" for number in range(size)]
    assert decide(config, keycloak_token(realm_access={"roles": roles})).admin is AdminClaim.NO
    assert decide(config, keycloak_token(realm_access={"roles": [*roles, "messenger-admin"]})).admin is AdminClaim.YES


@given(any_claims, st.lists(st.sampled_from(["messenger-admin", "x/messenger-admin", "/messenger-admin"])))
def test_nobody_gets_a_role_from_where_it_is_not_his(claims: dict[str, Any], names: list[str]) -> None:
    """Another client, a group, the leaf of a path, a text: none of them makes an administrator."""
    config = parse_mapping(
        keycloak_config(groups_path="groups", admin_roles=["messenger-admin", "/it/messenger-admin"])
    )
    elsewhere = {
        "realm_access": {"roles": "messenger-admin", "messenger-admin": names},
        "resource_access": {"other": {"roles": names}, "roles": names, "synapse": {"groups": names}},
        "groups": [*names, "messenger-admin", "/x/it/messenger-admin", "it/messenger-admin"],
        "roles": names,
        "messenger-admin": ["messenger-admin"],
    }
    assert decide(config, {**keycloak_token(), **claims, **elsewhere}).admin is not AdminClaim.YES


@given(
    roles=st.lists(st.sampled_from(["Messenger.Admin", "Messenger.User"]) | st.none(), max_size=3),
    overflows=st.booleans(),
)
def test_only_a_readable_and_whole_list_takes_a_role_away(*, roles: list[str | None], overflows: bool) -> None:
    config = parse_mapping(entra_config())
    claims = entra_token(roles=roles, **({"_claim_names": {"roles": "src1"}} if overflows else {}))
    admin = decide(config, claims).admin
    if "Messenger.Admin" in roles and None not in roles:
        assert admin is AdminClaim.YES
    else:
        assert admin is (AdminClaim.UNKNOWN if overflows or None in roles else AdminClaim.NO)


@pytest.mark.parametrize("elsewhere", [{"groups": "src1"}, ["groups"], "groups", 1])
def test_an_overage_takes_nothing_away_and_lets_nobody_in(elsewhere: object) -> None:
    config = entra_config(groups_path="groups", admin_roles=["admins"], required_roles=["members", "admins"])
    some = decide(parse_mapping(config), entra_token(groups=["members"], _claim_names=elsewhere))
    assert (some.allowed, some.admin) == (True, AdminClaim.UNKNOWN)
    none = decide(parse_mapping(config), entra_token(_claim_names=elsewhere))
    assert (none.allowed, none.admin) == (False, AdminClaim.UNKNOWN)


def test_who_was_renamed_or_has_another_address_is_the_same_person() -> None:
    config = parse_mapping(entra_config())
    before = decide(config, entra_token())
    after = decide(config, entra_token(preferred_username="x@y.example", name="X", email="x@y.example", sub="other"))
    assert before.subject == after.subject
    assert before.localpart != after.localpart


def test_two_people_with_one_address_are_two() -> None:
    config = parse_mapping(okta_config())
    first = decide(config, okta_userinfo())
    second = decide(config, okta_userinfo(sub="00uOther"))
    assert first.email == second.email
    assert first.subject != second.subject


@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_different_parts_are_different_subjects(one: tuple[str, str], other: tuple[str, str]) -> None:
    config = parse_mapping(generic_config(subject_claims=["a", "b"]))
    try:
        first, second = (subject_of(config, dict(zip("ab", parts, strict=True))) for parts in (one, other))
    except ClaimError:
        return
    assert (first == second) is (one == other)


@given(st.emails() | st.builds("{}@{}".format, texts, texts))
def test_an_address_is_written_as_synapse_compares_it(address: str) -> None:
    email = decide(parse_mapping(okta_config()), okta_userinfo(email=address)).email
    if email is not None:
        assert email == canonicalise_email(address)
        assert len(email.encode()) <= 254


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("GROSS@B.example", "gross@b.example"),
        ("Groẞ@B.example", "gross@b.example"),
        ("a+b.c_d-e'f@b.example", "a+b.c_d-e'f@b.example"),
        ('"a b"@c.example', None),
        ("A <a@b.example>", None),
        ("a(x)@b.example", None),
        ("a@b@c.example", None),
        ("a@", None),
        ("@b.example", None),
        ("a@b..example", None),
        ("a@b.example.", None),
        ("a\u200bb@c.example", None),
        ("a\u00a0b@c.example", None),
        ("a\0@b.example", None),
        (f"a@{'b' * 244}.example", f"a@{'b' * 244}.example"),
        (f"a@{'b' * 245}.example", None),
        (f"a@{'ü' * 150}.example", None),
    ],
)
def test_only_plain_addresses_count(written: str, kept: str | None) -> None:
    assert decide(parse_mapping(okta_config()), okta_userinfo(email=written)).email == kept


@pytest.mark.parametrize(
    ("trust", "verified", "kept"),
    [(None, True, True), (None, False, False), (None, 1, False), (True, False, True), (False, True, False)],
)
def test_who_is_believed_about_an_address(*, trust: bool | None, verified: object, kept: bool) -> None:
    decision = decide(parse_mapping(okta_config(trust_email=trust)), okta_userinfo(email_verified=verified))
    assert (decision.email is not None) is kept


@given(st.text(st.characters()) | st.text(st.sampled_from("a\u200d\u202e\u2066\n\0 \u0308ä\U0001f469\U0001f3f4\ud800")))
def test_a_display_name_shows_what_it_is(written: str) -> None:
    name = decide(parse_mapping(okta_config()), okta_userinfo(name=written)).display_name
    if name is None:
        return
    assert 1 <= len(name) <= 256
    assert name == " ".join(name.split())
    assert not INVISIBLE & {*name}
    name.encode()  # no half of a character, so every database takes it
    assert decide(parse_mapping(okta_config()), okta_userinfo(name=name)).display_name == name


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a" * 255 + "\U0001f469\u200d\U0001f467", "a" * 255 + "\U0001f469"),
        ("a" * 254 + "\U0001f469\u200d\U0001f467", "a" * 254 + "\U0001f469"),
        ("\u200d", None),
        ("\u0301", None),
        ("\ufe0f", None),
        ("\u06cc\u200c\u06a9", "\u06cc\u200c\u06a9"),
        ("\U0001fae9", "\U0001fae9"),
        ("\U0001f1e9\U0001f1ea", "\U0001f1e9\U0001f1ea"),
        ("\ue000a\ud800", "a"),
        (" " * 5000 + "a", None),
    ],
)
def test_how_display_names_are_written(written: str, shown: str | None) -> None:
    assert decide(parse_mapping(okta_config()), okta_userinfo(name=written)).display_name == shown


def test_what_an_operator_named_is_told_and_what_a_person_is_called_is_not() -> None:
    claims = keycloak_token(realm_access={"roles": ["messenger-admin"]}, groups=["Geheim"])
    decision = decide(parse_mapping(keycloak_config(groups_path="groups")), claims)
    assert "messenger-admin" in " ".join(decision.reasons)
    assert "Geheim" not in " ".join(decision.reasons)
    assert all(reason[0].isupper() for reason in decision.reasons)


@pytest.mark.parametrize("subject", ["1", "-1", "12345678901234567890"])
def test_a_number_as_subject_is_its_digits(subject: str) -> None:
    """As Synapse writes it: a provider that changes from numbers to texts means the same people."""
    config = parse_mapping(generic_config())
    assert subject_of(config, {"sub": int(subject)}) == subject_of(config, {"sub": subject}) == subject


def test_a_decision_is_a_value() -> None:
    config = parse_mapping(okta_config())
    assert decide(config, okta_userinfo()) == decide(config, okta_userinfo())
    with pytest.raises(attr.exceptions.FrozenInstanceError):
        decide(config, okta_userinfo()).allowed = True  # type: ignore[misc]
