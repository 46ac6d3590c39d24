"""Filters: the grammar, and what a search supports of it."""

import pytest

from synapse_bum.oidc.scim.attributes import CORE_USER
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.errors import InvalidFilterError, InvalidPathError, InvalidSyntaxError, InvalidValueError
from synapse_bum.oidc.scim.filters import AnyOf, Expression, parse_filter, parse_target, require_parts, selects
from synapse_bum.oidc.scim.paging import Page
from synapse_bum.oidc.scim.resources import ScimUser
from synapse_bum.oidc.scim.searches import (
    SEARCH_SCHEMA,
    ActiveIs,
    Condition,
    EmailIs,
    ExternalIdIs,
    IdIs,
    Search,
    UserNameIs,
    matches,
    parse_conditions,
)

# Examples of RFC 7644 3.4.2.2, and what else its grammar allows.
VALID = [
    'userName Eq "john"',
    'Username eq "john"',
    'name.familyName co "O\'Malley"',
    'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
    "title pr",
    'meta.lastModified gt "2011-05-13T04:42:34Z"',
    'schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"',
    'title pr or userType eq "Intern"',
    'userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")',
    'userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")',
    'userType eq "Employee" and (emails.type eq "work")',
    'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
    "count eq 5",
    "count ge -5.25e3",
    "active eq true",
    "active eq null",
    'x eq ""',
    r'x eq "a \"quoted\" word"',
    "((title pr))",
    'not (not (title pr)) and x[y eq "z"]',
]

MALFORMED = [
    "",
    " ",
    "userName",
    "userName eq",
    'eq "x"',
    'userName eq "x',
    "userName eq 'x'",
    "userName eq x",
    'userName = "x"',
    'userName eq "x" and',
    'userName eq "x" or or title pr',
    'userName eq "x" title pr',
    '(userName eq "x"',
    'userName eq "x")',
    "()",
    'emails[type eq "work"',
    'emails[type eq "work"]]',
    "emails[]",
    'emails[type eq "work"].',
    'emails[type eq "work"].value',
    'emails[type eq "work"]value eq "x"',
    'emails[x[y eq "z"]]',
    'emails.value[type eq "work"]',
    "not title pr",
    "title\tpr",
    'userName eq "a\x00b"',
    r'userName eq "a\u0000b"',
    r'userName eq "\ud800"',
    r'userName eq "\q"',
    'userName eq "x"; drop table users',
    "1title pr",
    "a.b.c pr",
    "count eq 05",
    "urn: pr",
    "(" * 17 + "title pr" + ")" * 17,
    'userName eq "' + "x" * 2000 + '"',
]


@pytest.mark.parametrize("text", VALID)
def test_the_grammar_is_read(text: str) -> None:
    parse_filter(text)


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(InvalidFilterError):
        parse_filter(text)


def test_and_binds_closer_than_or() -> None:
    assert parse_filter("a pr or b pr and c pr") == parse_filter("a pr or (b pr and c pr)")
    assert parse_filter("a pr and b pr or c pr") == parse_filter("(a pr and b pr) or c pr")
    assert parse_filter("a pr or b pr and c pr") != parse_filter("(a pr or b pr) and c pr")


def test_a_part_after_the_brackets_is_one_more_condition_on_the_same_element() -> None:
    assert parse_filter('emails[type eq "work"].value eq "a@b"') == parse_filter(
        'emails[type eq "work" and value eq "a@b"]'
    )


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ('userName eq "JG@Example.org"', (UserNameIs("jg@example.org"),)),
        (f'{CORE_USER}:userName eq "jg"', (UserNameIs("jg"),)),
        ('externalId eq "AbC"', (ExternalIdIs("AbC"),)),
        ('id eq "c3Vi"', (IdIs("c3Vi"),)),
        ("active eq false", (ActiveIs(value=False),)),
        ("active eq False", (ActiveIs(value=False),)),
        ('emails eq "JG@example.org"', (EmailIs("jg@example.org"),)),
        ('emails.value eq "jg@example.org"', (EmailIs("jg@example.org"),)),
        ('emails[type eq "Work"].value eq "jg@example.org"', (EmailIs("jg@example.org", "work"),)),
        ('emails[value eq "jg@example.org" and primary eq true]', (EmailIs("jg@example.org", None, primary=True),)),
        ('userName eq "a" and (active eq true and id eq "b")', (UserNameIs("a"), ActiveIs(value=True), IdIs("b"))),
    ],
)
def test_what_identity_providers_ask_is_supported(text: str, conditions: tuple[Condition, ...]) -> None:
    assert parse_conditions(text) == conditions


@pytest.mark.parametrize(
    "text",
    [
        'userName sw "j"',
        "userName pr",
        'userName eq "a" or userName eq "b"',
        'not (userName eq "a")',
        "userName eq true",
        "userName eq null",
        "externalId eq 5",
        'active eq "true"',
        "active eq 1",
        'displayName eq "J"',
        'name.familyName eq "G"',
        'title eq "Rat"',
        'userName.value eq "a"',
        'emails.type eq "work"',
        'emails[type eq "work"]',
        'emails[type eq "work" or value eq "a@b"]',
        'emails[type eq null and value eq "a@b"]',
        'emails[value eq "a@b" and value eq "c@d"]',
        'emails[value eq "a@b" and display eq "x"]',
        'emails[urn:x:value eq "a@b"]',
        'phoneNumbers[type eq "work"].value eq "1"',
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:userName eq "a"',
        'urn:example:other:userName eq "a"',
    ],
)
def test_another_filter_is_refused_with_what_is_supported(text: str) -> None:
    with pytest.raises(InvalidFilterError, match=r"userName, externalId, id, active and emails\.value"):
        parse_conditions(text)


USER = ScimUser("jg@example.org", "42", emails=(Email("JG@example.org", "work", primary=True), Email("j@home.example")))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName eq "JG@EXAMPLE.ORG"', True),
        ('userName eq "jg"', False),
        ('externalId eq "42"', True),
        ('externalId eq "4"', False),
        ('id eq "c3Vi"', True),
        ('id eq "C3VI"', False),
        ("active eq true", True),
        ("active eq false", False),
        ('emails.value eq "j@HOME.example"', True),
        ('emails[type eq "work"].value eq "jg@example.org"', True),
        ('emails[type eq "work"].value eq "j@home.example"', False),
        ('emails[primary eq true].value eq "j@home.example"', False),
        ('userName eq "jg@example.org" and active eq false', False),
    ],
)
def test_conditions_find_whom_they_mean(text: str, *, found: bool) -> None:
    assert matches(parse_conditions(text), USER, "c3Vi") is found


def test_without_a_filter_everybody_is_found() -> None:
    assert matches(Search.of_query({}).conditions, USER, "c3Vi")


def test_a_search_by_query_and_by_body_are_the_same() -> None:
    query = Search.of_query(
        {"filter": 'userName eq "jg"', "startIndex": "2", "count": "5", "attributes": "userName,id", "sortBy": "id"}
    )
    assert query == Search.of_body(
        {
            "schemas": [SEARCH_SCHEMA],
            "filter": 'userName eq "jg"',
            "startIndex": 2,
            "count": 5,
            "attributes": ["userName", "id"],
            "sortBy": "id",
        }
    )
    assert (query.conditions, query.page) == ((UserNameIs("jg"),), Page(2, 5))


def test_a_search_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSyntaxError):
        Search.of_body({"filter": 'userName eq "jg"'})
    with pytest.raises(InvalidValueError):
        Search.of_body({"schemas": [SEARCH_SCHEMA], "filter": 5})
    with pytest.raises(InvalidFilterError):
        Search.of_query({"filter": ""})


def brackets(text: str) -> Expression:
    expression = parse_filter(f"emails[{text}]")
    assert isinstance(expression, AnyOf)
    return expression.where


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ('type eq "WORK"', True),
        ('type ne "work"', False),
        ('type eq "home"', False),
        ("primary eq true", True),
        ('primary eq "True"', True),
        ('primary eq "False"', False),
        ("primary eq 1", False),
        ("primary gt false", False),
        ('value co "@example"', True),
        ('value sw "jg"', True),
        ('value ew ".org"', True),
        ('value gt "a"', True),
        ('value ge "jg@example.org"', True),
        ('value lt "a"', False),
        ('value le "jg@example.org"', True),
        ("value pr", True),
        ("display pr", False),
        ("display eq null", True),
        ('not (type eq "work")', False),
        ('type eq "home" or primary eq true', True),
        ('type eq "work" and primary eq false', False),
    ],
)
def test_a_filter_in_brackets_selects_addresses(text: str, *, selected: bool) -> None:
    assert selects(brackets(text), Email("jg@example.org", "work", primary=True).parts()) is selected


@pytest.mark.parametrize(
    "text", ["colour pr", "type.x pr", "urn:x:type pr", "type pr and not (a pr)", "type pr or a pr"]
)
def test_a_filter_in_brackets_compares_nothing_that_addresses_have_not(text: str) -> None:
    with pytest.raises(InvalidFilterError):
        require_parts(brackets(text), Email("a@b").parts().keys())


@pytest.mark.parametrize(
    "text", ["", "a b", "emails[", 'emails[type eq "x"]value', "emails.", ".value", "a[b pr].c.d", "a[b pr] c"]
)
def test_a_malformed_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidPathError):
        parse_target(text)
