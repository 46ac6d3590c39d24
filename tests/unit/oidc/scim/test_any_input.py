"""Whatever a client sends, the answer is a user or a SCIM error."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_bum.oidc.scim.attributes import CORE_USER, ENTERPRISE_USER, OWN_USER
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.errors import ScimError
from synapse_bum.oidc.scim.filters import parse_filter, parse_target
from synapse_bum.oidc.scim.patches import PATCH_SCHEMA, apply_patch
from synapse_bum.oidc.scim.resources import ScimUser, parse_user, render
from synapse_bum.oidc.scim.searches import SEARCH_SCHEMA, Search, matches, parse_conditions

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["True", "false", "a@b", "x\x00", "\ud800", "work"])
)
PATHS = st.sampled_from(
    [
        "userName", "active", "displayName", "externalId", "name", "name.givenName", "name.formatted", "emails",
        "emails.value", "emails.primary", 'emails[type eq "work"].value', "emails[primary eq true]",
        'emails[type sw "w"].type', "emails[value pr]", "title", 'phoneNumbers[type eq "x"].value', "id", "meta",
        f"{ENTERPRISE_USER}:department", ENTERPRISE_USER, OWN_USER, CORE_USER, f"{CORE_USER}:active", "nonsense",
    ]
)  # fmt: skip
NAMES = PATHS | st.sampled_from(["value", "type", "primary", "givenName", "familyName", "Active"]) | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
ADDRESSES = st.fixed_dictionaries(
    {}, optional={"value": SCALARS | st.just("a@b"), "type": SCALARS | st.just("work"), "primary": SCALARS}
)
VALUES = ANYTHING | ADDRESSES | st.lists(ADDRESSES, max_size=4)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove"])}, optional={"path": PATHS, "value": VALUES}
)
FILTER_WORDS = st.lists(
    st.sampled_from(
        [
            "userName", "emails", "type", "value", ".value", "eq", "co", "pr", "and", "or", "not", "(", ")", "[", "]",
            '"a@b"', '"', "true", "null", "5", " ", "urn:x:y", '"\\u0000"',
        ]
    ),
    max_size=14,
).map(" ".join)  # fmt: skip
USER = ScimUser("jg", "42", "J", "J", "G", (Email("a@b", "work", primary=True), Email("c@d", "home")))


def must_be_storable(user: ScimUser) -> None:
    """What was accepted can be written to a database, sent, and read again."""
    document = render(user, resource_id="x", user_id="@x:y", created_ts=0, modified_ts=0, location="https://x/")
    text = json.dumps(document, ensure_ascii=False)
    text.encode()
    assert "\x00" not in "".join(filter(None, (user.user_name, user.external_id, user.display_name)))
    assert parse_user(json.loads(text)) == user


@given(ANYTHING | st.dictionaries(NAMES, VALUES).map(lambda body: {"schemas": [CORE_USER], "userName": "jg", **body}))
def test_any_body_of_a_user_is_read_or_refused(body: Any) -> None:  # noqa: ANN401 - any JSON
    try:
        user = parse_user(body, replaces=USER)
    except ScimError as error:
        json.dumps(error.answer().body)
    else:
        must_be_storable(user)


@settings(max_examples=300)
@given(ANYTHING | st.lists(OPERATIONS | ANYTHING, min_size=1, max_size=6))
def test_any_patch_is_applied_or_refused(operations: Any) -> None:  # noqa: ANN401 - any JSON
    try:
        changed = apply_patch(USER, {"schemas": [PATCH_SCHEMA], "Operations": operations})
    except ScimError as error:
        json.dumps(error.answer().body)
    else:
        must_be_storable(changed)


@given(ANYTHING)
def test_any_body_of_a_search_or_patch_is_read_or_refused(body: object) -> None:
    for read in (lambda: apply_patch(USER, body), lambda: Search.of_body(body)):
        try:
            read()
        except ScimError:
            continue


@settings(max_examples=300)
@given(FILTER_WORDS | st.text(max_size=60))
def test_any_filter_and_any_path_is_read_or_refused(text: str) -> None:
    for read in (parse_filter, parse_target):
        try:
            read(text)
        except ScimError:
            continue
    try:
        conditions = parse_conditions(text)
    except ScimError:
        return
    matches(conditions, USER, "x")


@given(
    st.dictionaries(st.sampled_from(["filter", "startIndex", "count", "attributes", "excludedAttributes"]), ANYTHING)
)
def test_any_parameters_of_a_search_are_read_or_refused(members: dict[str, Any]) -> None:
    try:
        search = Search.of_body({"schemas": [SEARCH_SCHEMA], **members})
    except ScimError:
        return
    assert 0 <= search.page.count <= 1000
    assert search.page.offset >= 0
    assert "id" in search.projection.of_document({"id": "x", "emails": [{"value": "a@b"}], "userName": "jg"})


@pytest.mark.parametrize("depth", [10, 900])
def test_deep_nesting_is_no_way_to_bring_us_down(depth: int) -> None:
    value: object = "x"
    for _ in range(depth):
        value = {"name": value, CORE_USER: value}
    with pytest.raises(ScimError):
        apply_patch(USER, {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "add", "value": value}]})
    with pytest.raises(ScimError):
        parse_user({"schemas": [CORE_USER], "userName": "jg", "name": {"givenName": value}})
    with pytest.raises(ScimError):
        parse_filter("not " * depth + "(" * depth + "a pr" + ")" * depth)
