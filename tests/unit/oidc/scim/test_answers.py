"""Errors, lists, selected attributes, and the documents about the service."""

from typing import Any

import pytest

from synapse_bum.oidc.scim import errors
from synapse_bum.oidc.scim.attributes import CORE_USER, OWN_USER
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.errors import InvalidValueError, ScimError
from synapse_bum.oidc.scim.paging import Page, list_response
from synapse_bum.oidc.scim.projection import Projection
from synapse_bum.oidc.scim.resources import ScimUser, parse_user, render
from synapse_bum.oidc.scim.schemas import named, resource_types, schemas, service_provider_config

BASE = "https://matrix.example/_synapse/client/bum/scim/v2"
USER = ScimUser("jg", "42", "J", "Jürgen", "Groß", (Email("a@b", "work", primary=True), Email("c@d")))
DOCUMENT = render(
    USER, resource_id="c3Vi", user_id="@jg:matrix.example", created_ts=0, modified_ts=0, location=f"{BASE}/Users/c3Vi"
)


@pytest.mark.parametrize(
    ("error", "status", "scim_type"),
    [
        (errors.InvalidSyntaxError, 400, "invalidSyntax"),
        (errors.InvalidValueError, 400, "invalidValue"),
        (errors.InvalidPathError, 400, "invalidPath"),
        (errors.InvalidFilterError, 400, "invalidFilter"),
        (errors.NoTargetError, 400, "noTarget"),
        (errors.MutabilityError, 400, "mutability"),
        (errors.UnauthorizedError, 401, None),
        (errors.ForbiddenError, 403, None),
        (errors.NotFoundError, 404, None),
        (errors.MethodNotAllowedError, 405, None),
        (errors.ConflictError, 409, None),
        (errors.UniquenessError, 409, "uniqueness"),
        (errors.TooLargeError, 413, None),
        (errors.TooManyRequestsError, 429, None),
        (errors.InternalError, 500, None),
        (errors.NotSupportedError, 501, None),
        (errors.UnavailableError, 503, None),
    ],
)
def test_an_error_is_answered_as_the_rfc_has_it(error: type[ScimError], status: int, scim_type: str | None) -> None:
    answer = error("No.", retry_after_s=7).answer()
    assert (answer.status, answer.retry_after_s) == (status, 7)
    expected = {"schemas": [errors.ERROR_SCHEMA], "status": str(status), "detail": "No."}
    assert answer.body == (expected if scim_type is None else {**expected, "scimType": scim_type})


@pytest.mark.parametrize(
    ("start_index", "count", "page"),
    [
        (None, None, Page(1, 100)),
        ("1", "50", Page(1, 50)),
        ("0", "-1", Page(1, 0)),
        ("-5", "0", Page(1, 0)),
        ("101", "5000", Page(101, 1000)),
        (7, 3, Page(7, 3)),
    ],
)
def test_a_page_is_read(start_index: object, count: object, page: Page) -> None:
    assert Page.of(start_index, count) == page
    assert page.offset == page.start_index - 1


@pytest.mark.parametrize("value", ["", "x", "1.5", 1.5, True, [], "9" * 5000, 10**30, "\u0661"])
def test_what_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(InvalidValueError, match="startIndex"):
        Page.of(value, None)
    with pytest.raises(InvalidValueError, match="count"):
        Page.of(None, value)


def test_a_list_says_how_many_there_are_and_which_these_are() -> None:
    assert list_response([DOCUMENT], total=12, page=Page(3, 1)) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 12,
        "startIndex": 3,
        "itemsPerPage": 1,
        "Resources": [DOCUMENT],
    }
    assert list_response([], total=12, page=Page(1, 0))["itemsPerPage"] == 0


def selected(attributes: object = None, excluded: object = None) -> dict[str, Any]:
    return Projection.of(attributes, excluded).of_document(DOCUMENT)


@pytest.mark.parametrize(
    ("attributes", "keys"),
    [
        ("userName", {"userName"}),
        ("USERNAME, active", {"userName", "active"}),
        (["userName", "meta"], {"userName", "meta"}),
        (f"{CORE_USER}:userName", {"userName"}),
        (f"{OWN_USER}:userId", {OWN_USER}),
        (OWN_USER, {OWN_USER}),
        (CORE_USER, set(DOCUMENT) - {OWN_USER}),
        ("id", set()),
        ("favouriteColour", set()),
        ("not a name!", set()),
        ("userId", set()),
    ],
)
def test_only_what_was_asked_for_is_sent_and_always_the_id(attributes: object, keys: set[str]) -> None:
    assert set(selected(attributes)) == keys | {"id", "schemas"}


def test_parts_of_attributes_can_be_asked_for() -> None:
    assert selected("name.givenName, emails.value") == {
        "schemas": [CORE_USER, OWN_USER],
        "id": "c3Vi",
        "name": {"givenName": "Jürgen"},
        "emails": [{"value": "a@b"}, {"value": "c@d"}],
    }
    assert selected("name.givenName,name")["name"] == DOCUMENT["name"]
    assert "userName" not in selected("userName.value")


@pytest.mark.parametrize(
    ("excluded", "gone"),
    [
        ("emails,name", {"emails", "name"}),
        ("id,schemas", set()),
        (OWN_USER, {OWN_USER}),
        (f"{OWN_USER}:userId", {OWN_USER}),
        ("emails.value,emails.type,emails.primary", {"emails"}),
        ("favouriteColour", set()),
        ("", set()),
    ],
)
def test_what_was_excluded_is_left_out_but_never_the_id(excluded: object, gone: set[str]) -> None:
    assert set(selected(None, excluded)) == set(DOCUMENT) - gone


def test_parts_of_attributes_can_be_excluded() -> None:
    found = selected(None, "name.givenName,emails.primary,userName.value")
    assert found["name"] == {"familyName": "Groß"}
    assert found["emails"] == [{"value": "a@b", "type": "work"}, {"value": "c@d"}]
    assert found["userName"] == "jg"


def test_nothing_asked_for_is_everything() -> None:
    assert selected() == selected("", "") == DOCUMENT


@pytest.mark.parametrize(("attributes", "excluded"), [("userName", "emails"), (5, None), (None, [5]), ({}, None)])
def test_a_selection_that_means_nothing_is_refused(attributes: object, excluded: object) -> None:
    with pytest.raises(InvalidValueError):
        selected(attributes, excluded)


def test_the_service_promises_what_it_does() -> None:
    config: Any = service_provider_config(BASE)
    assert {key for key, value in config.items() if isinstance(value, dict) and value.get("supported")} == {
        "patch",
        "filter",
    }
    assert config["filter"]["maxResults"] == Page.of(None, "5000").count
    assert [scheme["type"] for scheme in config["authenticationSchemes"]] == ["oauthbearertoken"]


def test_every_document_says_where_it_is() -> None:
    documents = [service_provider_config(BASE), *resource_types(BASE), *schemas(BASE)]
    assert [document["meta"]["location"] for document in documents if isinstance(document["meta"], dict)] == [
        f"{BASE}/ServiceProviderConfig",
        f"{BASE}/ResourceTypes/User",
        f"{BASE}/Schemas/{CORE_USER}",
        f"{BASE}/Schemas/{OWN_USER}",
    ]
    assert named(schemas(BASE), CORE_USER.upper()) == schemas(BASE)[0]
    assert named(resource_types(BASE), "Group") is None


def test_the_schema_names_exactly_what_is_kept() -> None:
    """What a client may send by the schema comes back, and nothing else does."""
    definitions: Any = named(schemas(BASE), CORE_USER)
    core = {attribute["name"]: attribute for attribute in definitions["attributes"]}
    assert set(core) == set(DOCUMENT) - {"schemas", "id", "externalId", "meta", OWN_USER}
    parts = {name: {part["name"] for part in core[name].get("subAttributes", [])} for name in core}
    assert parts["name"] == set(DOCUMENT["name"])  # type: ignore[call-overload]
    assert parts["emails"] == set(DOCUMENT["emails"][0])  # type: ignore[index]
    with pytest.raises(InvalidValueError):
        parse_user({"schemas": [CORE_USER]})
    assert {name for name, attribute in core.items() if attribute["required"]} == {"userName", "active"}
