"""What Entra ID and Okta send, in the form that their documentation shows.

Sources: learn.microsoft.com "Develop and plan provisioning for a SCIM endpoint", "SCIM protocol compliance of the
provisioning service" (with and without the flag `aadOptscim062020`); developer.okta.com "SCIM 2.0 protocol reference".
"""

import json

import pytest

from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.patches import apply_patch
from synapse_bum.oidc.scim.resources import ScimUser, parse_user
from synapse_bum.oidc.scim.searches import Condition, EmailIs, ExternalIdIs, Search, UserNameIs

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

ENTRA_CREATES = """{
  "schemas": [
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
  ],
  "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
  "userName": "erika.mustermann@amt.example",
  "active": true,
  "displayName": "Erika Mustermann",
  "title": "Referentin",
  "preferredLanguage": "de-DE",
  "emails": [{"primary": true, "type": "work", "value": "erika.mustermann@amt.example"}],
  "phoneNumbers": [{"type": "mobile", "value": "+49 30 1234"}],
  "addresses": [{"type": "work", "formatted": "Haus 1\\nBerlin"}],
  "meta": {"resourceType": "User"},
  "name": {"formatted": "Erika Mustermann", "familyName": "Mustermann", "givenName": "Erika"},
  "roles": [],
  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "IT", "manager": {"value": "26118915"}}
}"""
OKTA_CREATES = """{
  "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
  "userName": "erika.mustermann@amt.example",
  "name": {"givenName": "Erika", "familyName": "Mustermann"},
  "emails": [{"primary": true, "value": "erika.mustermann@amt.example", "type": "work"}],
  "displayName": "Erika Mustermann",
  "locale": "en-US",
  "externalId": "00ujl29u0le5T6Aj10h7",
  "groups": [],
  "password": "1mz050nq",
  "active": true
}"""
OKTA_REPLACES = """{
  "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
  "id": "MDB1amwyOXUwbGU1VDZBajEwaDc",
  "userName": "erika.mustermann@amt.example",
  "name": {"givenName": "Erika", "middleName": "", "familyName": "Muster"},
  "emails": [{"primary": true, "value": "erika.mustermann@amt.example", "type": "work", "display": "work"}],
  "active": false,
  "groups": [],
  "meta": {"resourceType": "User"}
}"""
ERIKA = ScimUser(
    "erika.mustermann@amt.example",
    "00ujl29u0le5T6Aj10h7",
    "Erika Mustermann",
    "Erika",
    "Mustermann",
    (Email("erika.mustermann@amt.example", "work", primary=True),),
)


def test_entra_id_creates() -> None:
    assert parse_user(json.loads(ENTRA_CREATES)) == ScimUser(
        ERIKA.user_name,
        "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        ERIKA.display_name,
        ERIKA.given_name,
        ERIKA.family_name,
        ERIKA.emails,
    )


def test_okta_creates() -> None:
    assert parse_user(json.loads(OKTA_CREATES)) == ERIKA


def test_okta_replaces_without_saying_who_it_is() -> None:
    assert parse_user(json.loads(OKTA_REPLACES), replaces=ERIKA) == ScimUser(
        ERIKA.user_name, ERIKA.external_id, None, "Erika", "Muster", ERIKA.emails, active=False
    )


@pytest.mark.parametrize(
    "operation",
    [
        '{"op": "Replace", "path": "active", "value": false}',
        '{"op": "Replace", "path": "active", "value": "False"}',
        '{"op": "Add", "path": "active", "value": "False"}',
        '{"op": "replace", "value": {"active": false}}',
        '{"op": "Replace", "value": {"active": "False", "displayName": "Erika Mustermann"}}',
    ],
)
def test_a_leaver_is_ended_however_it_is_written(operation: str) -> None:
    changed = apply_patch(ERIKA, {"schemas": [PATCH], "Operations": [json.loads(operation)]})
    assert not changed.active
    assert changed.display_name == ERIKA.display_name


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        (  # attribute by attribute
            [
                {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "erika.muster@amt.example"},
                {"op": "Replace", "path": "name.familyName", "value": "Muster"},
                {"op": "Add", "path": "title", "value": "Rätin"},
                {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "+49 30 99"},
                {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Personal"},
                {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "26118915"},
                {"op": "Remove", "path": "nickName"},
            ],
            {"family_name": "Muster", "emails": (Email("erika.muster@amt.example", "work", primary=True),)},
        ),
        (  # several attributes at once
            [
                {
                    "op": "replace",
                    "value": {
                        "displayName": "Erika Muster",
                        "name.givenName": "Erika",
                        "name.familyName": "Muster",
                        f"{ENTERPRISE}:employeeNumber": "26118915",
                    },
                }
            ],
            {"display_name": "Erika Muster", "family_name": "Muster"},
        ),
        (  # a new address of another kind
            [{"op": "Add", "path": 'emails[type eq "other"].value', "value": "erika@home.example"}],
            {"emails": (*ERIKA.emails, Email("erika@home.example", "other"))},
        ),
        (
            [{"op": "Remove", "path": 'emails[type eq "work"].value'}],
            {"emails": ()},
        ),
        (
            [{"op": "Replace", "path": "userName", "value": "erika.muster@amt.example"}],
            {"user_name": "erika.muster@amt.example"},
        ),
        (  # application roles
            [
                {
                    "op": "Add",
                    "path": "roles",
                    "value": [{"primary": False, "type": "AppRole", "display": "Admin", "value": "Admin"}],
                }
            ],
            {},
        ),
    ],
)
def test_entra_id_changes_somebody(operations: list[object], changed: dict[str, object]) -> None:
    found = apply_patch(ERIKA, {"schemas": [PATCH], "Operations": operations})
    names = ("user_name", "external_id", "display_name", "given_name", "family_name", "emails", "active")
    assert {name: getattr(found, name) for name in names} == {
        **{name: getattr(ERIKA, name) for name in names},
        **changed,
    }


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ('userName eq "Erika.Mustermann@amt.example"', UserNameIs("erika.mustermann@amt.example")),
        ('externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"', ExternalIdIs("0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef")),
        ('emails[type eq "work"].value eq "erika@amt.example"', EmailIs("erika@amt.example", "work")),
    ],
)
def test_somebody_is_looked_up_before_the_creation(text: str, condition: Condition) -> None:
    assert Search.of_query({"filter": text, "startIndex": "1", "count": "100"}).conditions == (condition,)
