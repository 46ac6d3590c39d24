"""A user as SCIM sends and receives it."""

import unicodedata
from collections.abc import Callable
from typing import Any

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.oidc.people import user_name_index
from synapse_bum.oidc.scim.attributes import CORE_USER, ENTERPRISE_USER, OWN_USER
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.errors import InvalidSyntaxError, InvalidValueError
from synapse_bum.oidc.scim.resources import ScimUser, parse_user, render, timestamp, user_name_key

LOCATION = "https://matrix.example/scim/v2/Users/c3Vi"


def body(**members: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"schemas": [CORE_USER], "userName": "jg", **members}


def document(user: ScimUser, modified_ts: int = 1_700_000_001_005) -> dict[str, Any]:
    return render(
        user,
        resource_id="c3Vi",
        user_id="@jg:matrix.example",
        created_ts=1_700_000_000_000,
        modified_ts=modified_ts,
        location=LOCATION,
    )


TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40
).filter(str.strip)  # fmt: skip
EMAILS = st.lists(
    st.builds(Email, st.just("jg@example.org"), st.none() | TEXT, st.just(value=False)), max_size=20
).map(tuple)  # fmt: skip
USERS = st.builds(
    ScimUser, TEXT, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT, EMAILS, st.booleans()
)


@given(USERS)
def test_what_was_rendered_is_read_as_the_same_user(user: ScimUser) -> None:
    assert parse_user(document(user)) == user


def test_the_document_has_everything_that_a_client_needs() -> None:
    user = ScimUser(
        "jg@example.org", "42", "Jürgen Groß", "Jürgen", "Groß", (Email("jg@example.org", "work", primary=True),)
    )
    found = document(user)
    assert found.pop("meta") == {
        "resourceType": "User",
        "created": "2023-11-14T22:13:20.000Z",
        "lastModified": "2023-11-14T22:13:21.005Z",
        "location": LOCATION,
        "version": document(user)["meta"]["version"],
    }
    assert found == {
        "schemas": [CORE_USER, OWN_USER],
        "id": "c3Vi",
        "externalId": "42",
        "userName": "jg@example.org",
        "name": {"givenName": "Jürgen", "familyName": "Groß"},
        "displayName": "Jürgen Groß",
        "emails": [{"value": "jg@example.org", "type": "work", "primary": True}],
        "active": True,
        OWN_USER: {"userId": "@jg:matrix.example"},
    }


def test_what_has_no_value_is_left_out() -> None:
    assert set(document(ScimUser("jg"))) == {"schemas", "id", "userName", "active", OWN_USER, "meta"}


def test_another_content_or_another_time_is_another_version() -> None:
    user = ScimUser("jg")
    versions = {
        document(changed, modified_ts)["meta"]["version"]
        for changed in (user, attr.evolve(user, active=False))
        for modified_ts in (1, 2)
    }
    assert len(versions) == 4
    assert document(user)["meta"]["version"] == document(user)["meta"]["version"]
    assert all(version.startswith('W/"') for version in versions)


@pytest.mark.parametrize(
    ("ts", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1_709_208_000_123, "2024-02-29T12:00:00.123Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(ts: int, text: str) -> None:
    assert timestamp(ts) == text


def test_names_of_attributes_and_urns_have_no_case() -> None:
    members = {"SCHEMAS": [CORE_USER.upper()], "username": "jg", "NAME": {"GIVENNAME": "J"}, "Active": False}
    assert parse_user(members) == ScimUser("jg", given_name="J", active=False)


def test_attributes_that_are_not_kept_and_unknown_ones_are_ignored() -> None:
    assert parse_user(
        body(
            title="Rat",
            phoneNumbers=[{"value": 5}],
            password="secret",
            favouriteColour={"deep": [1]},
            meta={"resourceType": "User"},
            id="chosen by the client",
            **{ENTERPRISE_USER: {"department": "IT"}},
        )
    ) == ScimUser("jg")


@pytest.mark.parametrize(("written", "meant"), [("False", False), ("True", True), ("true", True), (False, False)])
def test_active_may_be_text_as_entra_id_writes_it(written: object, *, meant: bool) -> None:
    assert parse_user(body(active=written)).active is meant


@pytest.mark.parametrize("value", ["", "no", "0", 0, 1, [], {}, [False], {"value": False}])
def test_what_is_neither_true_nor_false_is_refused_rather_than_taken_for_one(value: object) -> None:
    with pytest.raises(InvalidValueError, match="active"):
        parse_user(body(active=value))


def test_who_is_created_without_active_is_active() -> None:
    assert parse_user(body()).active
    assert parse_user(body(active=None)).active


@pytest.mark.parametrize("members", [{}, {"active": None}])
def test_a_replacement_that_does_not_mention_active_lets_no_leaver_in(members: dict[str, object]) -> None:
    gone = ScimUser("jg", "42", active=False)
    assert parse_user(body(**members), replaces=gone) == gone


def test_a_replacement_takes_away_what_it_lacks() -> None:
    old = ScimUser("jg", "42", "Jürgen", "J", "G", (Email("jg@example.org"),))
    assert parse_user(body(), replaces=old) == ScimUser("jg", "42")
    assert parse_user(body(externalId="43", active=False), replaces=old) == ScimUser("jg", "43", active=False)


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"userName": None}, "userName"),
        ({"userName": ""}, "userName"),
        ({"userName": "  "}, "userName"),
        ({"userName": 5}, "userName"),
        ({"userName": "x" * 321}, "userName"),
        ({"userName": "jg\x00"}, "userName"),
        ({"userName": "jg\n"}, "userName"),
        ({"userName": "jg\ud800"}, "userName"),
        ({"externalId": 42}, "externalId"),
        ({"externalId": "4\x002"}, "externalId"),
        ({"externalId": "4" * 256}, "externalId"),
        ({"displayName": ["Jürgen"]}, "displayName"),
        ({"displayName": "J" * 257}, "displayName"),
        ({"displayName": "J\u2028G"}, "displayName"),
        ({"name": {"givenName": {}}}, "name.givenName"),
        ({"name": {"familyName": "\x7f"}}, "name.familyName"),
        ({"emails": [{"value": "no address"}]}, "emails.value"),
        ({"emails": [{"value": "a@b@c"}]}, "emails.value"),
        ({"emails": [{"value": "a" * 251 + "@b.c"}]}, "emails.value"),
        ({"emails": [{"value": "a@b", "type": 1}]}, "emails.type"),
        ({"emails": [{"value": "a@b", "primary": "perhaps"}]}, "emails.primary"),
        ({"emails": [{"value": "a@b", "primary": True}, {"value": "c@d", "primary": True}]}, "emails"),
        ({"emails": [{"value": "a@b"}] * 21}, "emails"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_attribute(members: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidValueError) as raised:
        parse_user(body(**members))
    assert name in raised.value.detail


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "user",
        {},
        {"userName": "jg"},
        {"schemas": CORE_USER, "userName": "jg"},
        {"schemas": [ENTERPRISE_USER], "userName": "jg"},
        {"schemas": [CORE_USER, 5], "userName": "jg"},
        body(name="Jürgen"),
        body(emails={"value": "a@b"}),
        body(emails=["a@b"]),
        body(USERNAME="somebody else"),
        body(active=False, Active=True),
    ],
)
def test_what_is_no_user_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidSyntaxError):
        parse_user(wrong)


def test_a_refusal_never_repeats_the_value() -> None:
    with pytest.raises(InvalidValueError) as raised:
        parse_user(body(displayName="hunter2\x00"))
    assert "hunter2" not in raised.value.detail


def test_an_email_without_an_address_is_no_email() -> None:
    assert parse_user(body(emails=[{"type": "work", "value": ""}, {"type": "home"}])).emails == ()


def test_emoji_with_joiners_and_marks_of_any_script_are_kept() -> None:
    name = "Zoë 👩‍💻 أحمد"
    assert parse_user(body(displayName=name)).display_name == name


def test_login_names_are_the_same_in_any_case_but_umlauts_merge_nobody() -> None:
    assert user_name_key("Jürgen@Example.org") == user_name_key("ju\u0308RGEN@example.ORG")
    assert len({user_name_key(name) for name in ("jürgen", "jurgen", "juergen", "groß", "gross")}) == 5


def _decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


@given(name=st.text(max_size=8), alike=st.sampled_from([str.upper, str.lower, str.title, str.swapcase, _decomposed]))
def test_a_login_is_found_under_every_name_that_is_the_same(name: str, alike: Callable[[str], str]) -> None:
    other = alike(name)
    if user_name_key(name) == user_name_key(other):
        assert user_name_index(user_name_key(other)) == user_name_index(name)


@pytest.mark.parametrize("name", ["ΣΑΣ", "İstanbul", "STRASSE", "\u1e9eß", "\u0345\u03b1", "Ǆ", "ﬁ", "Ꭰꭰ"])
def test_a_login_with_an_odd_letter_is_found_under_its_name(name: str) -> None:
    assert user_name_index(user_name_key(name)) == user_name_index(name)


def test_the_name_to_show_is_the_display_name_or_else_made_of_its_parts() -> None:
    assert ScimUser("jg", display_name="JG", given_name="Jürgen").shown_name == "JG"
    assert ScimUser("jg", given_name="Jürgen", family_name="Groß").shown_name == "Jürgen Groß"
    assert ScimUser("jg", family_name="Groß").shown_name == "Groß"
    assert ScimUser("jg").shown_name is None
