"""The templates for the Matrix Authentication Service, rendered by the real MiniJinja, against our own mapping.

The environment is that of MAS (`crates/handlers/src/upstream_oauth2/template.rs`): MiniJinja's defaults, in which what
is missing is undefined and nothing is escaped, with Python's methods of strings. Filters that MAS adds are not used.
"""

import functools
import unicodedata
from collections.abc import Mapping
from typing import Any

import attr
import minijinja
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synapse_bum.oidc.mapping import Decision, decide, parse_mapping
from synapse_bum.oidc.mapping.transliteration import in_ascii
from synapse_bum.oidc.mas.characters import INVISIBLE, composed_umlauts
from synapse_bum.oidc.mas.templates import ClaimTemplates, claim_templates
from synapse_bum.oidc.mas.unexpressed import Rule, unexpressed
from synapse_bum.testing.claims_corpus import CLAIMS_CORPUS, ClaimsCase
from synapse_bum.testing.identity_tokens import entra_config, entra_token, generic_config, keycloak_config, okta_config

pytestmark = pytest.mark.any_synapse

ROOM = 255 - len("@:bum.example") - 21
ENVIRONMENT = minijinja.Environment(pycompat=True)
LARGEST = 2**64
DEEPEST = 127


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Person:
    """Who somebody is to MAS.

    Attributes:
        subject: None: the login is refused.
        localpart: None: no account is made.
        display_name: None for none.
        email: None for none.
    """

    subject: str | None
    localpart: str | None
    display_name: str | None
    email: str | None


class UnreadableError(Exception):
    """JSON that MAS (`serde_json`) does not read."""


def as_mas_reads_it(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Numbers beyond 64 bits are floating-point numbers there, and nothing is nested deeper than 127 levels."""
    if depth > DEEPEST:
        raise UnreadableError
    if isinstance(value, dict):
        return {name: as_mas_reads_it(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_mas_reads_it(inner, depth + 1) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -LARGEST // 2 <= value < LARGEST:
        try:
            return float(value)
        except OverflowError:
            raise UnreadableError from None
    return value


@functools.cache
def compiled(template: str) -> str:
    """Have a template compiled once; returns its name."""
    name = f"template {hash(template)}"
    ENVIRONMENT.add_template(name, template)
    return name


def rendered(template: str, source: str, claims: Mapping[str, Any]) -> str | None:
    """What MAS makes of a template: nothing from an empty text and from an error."""
    try:
        return ENVIRONMENT.render_template(compiled(template), **{source: claims}) or None
    except minijinja.TemplateError:
        return None


def by_mas(templates: ClaimTemplates, claims: Mapping[str, Any], source: str = "id_token_claims") -> Person:
    try:
        read = as_mas_reads_it(claims)
    except UnreadableError:
        return Person(None, None, None, None)
    return Person(
        rendered(templates.subject, source, read),
        rendered(templates.localpart, source, read),
        rendered(templates.display_name, source, read),
        None if templates.email is None else rendered(templates.email, source, read),
    )


def templates_of(config: Mapping[str, Any]) -> ClaimTemplates:
    return claim_templates(parse_mapping(config), from_userinfo=False, room=ROOM)


def by_us(config: Mapping[str, Any], claims: Mapping[str, Any]) -> Decision:
    return decide(parse_mapping(config), claims)


def not_expressible(ours: Decision, claims: Mapping[str, Any]) -> set[Rule]:
    """By which rules of ours that MAS lacks a person of the corpus may be another one there."""
    rules = set()
    if len(ours.localpart or "") > ROOM:
        rules.add(Rule.LONG_NAMES)
    if ours.email is not None and not ours.email.isascii():
        rules.add(Rule.EMAIL_ALPHABET)
    try:
        if as_mas_reads_it(claims) != claims:
            rules.add(Rule.JSON_LIMITS)
    except UnreadableError:
        rules.add(Rule.JSON_LIMITS)
    return rules


@pytest.mark.parametrize("case", CLAIMS_CORPUS, ids=lambda case: case.name)
def test_each_person_of_the_corpus_is_the_same_one(case: ClaimsCase) -> None:
    """Or is refused, or comes without an address, by a rule that the command names."""
    ours = by_us(case.config, case.claims)
    theirs = by_mas(templates_of(case.config), case.claims)
    lacking = not_expressible(ours, case.claims)
    if not ours.allowed:
        assert theirs.subject is None or theirs.localpart is None
    elif Rule.JSON_LIMITS in lacking:
        assert theirs.subject is None or theirs.subject == ours.subject
    else:
        assert theirs.subject == ours.subject
        assert theirs.localpart == (None if Rule.LONG_NAMES in lacking else ours.localpart)
        assert theirs.display_name == ours.display_name
        assert theirs.email == (None if Rule.EMAIL_ALPHABET in lacking else ours.email)
    config = parse_mapping(case.config)
    named = {one.rule for one in unexpressed(config, room=ROOM, has_email=templates_of(case.config).email is not None)}
    assert lacking <= named


KEYCLOAK = keycloak_config()
KEYCLOAK_TEMPLATES = templates_of(KEYCLOAK)


def named(name: str) -> dict[str, Any]:
    return {"sub": "s", "preferred_username": name, "name": name, "email": name, "email_verified": True}


def is_assigned(text: str) -> bool:
    return not any(unicodedata.category(character) in {"Cn", "Cs"} for character in text)


LETTERS = "".join(
    letter
    for letter in map(chr, [*range(0x41, 0x250), *range(0x1E00, 0x1F00)])
    if unicodedata.category(letter)[0] == "L"
)
LATIN_NAMES = st.text(LETTERS + "0123456789 .-_'@/=~+\u00a0", min_size=1, max_size=30)
ONE_MARK = [
    letter
    for letter in LETTERS
    if len(unicodedata.normalize("NFD", letter)) == 2 and in_ascii(letter.lower()).isascii()
]


@given(LATIN_NAMES)
@example("ß ẞ İstanbul ŸþØǼ")
@example("ΑΣ")
@example("_")
@example("007")
def test_latin_names(name: str) -> None:
    composed = unicodedata.normalize("NFC", name)
    ours, theirs = by_us(KEYCLOAK, named(composed)), by_mas(KEYCLOAK_TEMPLATES, named(composed))
    assert (theirs.localpart, theirs.display_name) == (ours.localpart, ours.display_name)


@given(st.text(st.sampled_from(ONE_MARK), min_size=1, max_size=30))
def test_latin_names_with_their_marks_apart(name: str) -> None:
    apart = unicodedata.normalize("NFD", name)
    assert by_mas(KEYCLOAK_TEMPLATES, named(apart)).localpart == by_us(KEYCLOAK, named(apart)).localpart


@given(st.text(max_size=40).filter(is_assigned))
@example("\u0301a\u0301")
@example("a\u200db\u2028c")
def test_names_of_any_script(name: str) -> None:
    """In NFC; of a display name that shows nothing, rare marks are a matter of their own."""
    composed = unicodedata.normalize("NFC", name)
    ours, theirs = by_us(KEYCLOAK, named(composed)), by_mas(KEYCLOAK_TEMPLATES, named(composed))
    assert theirs.localpart == ours.localpart
    shows = any(unicodedata.category(character)[0] in "LNPS" for character in composed)
    if shows and ours.allowed:
        assert theirs.display_name == ours.display_name


@given(st.from_regex(r"[A-Za-z0-9.@!#%'*/=?^_`{|}~ ()<>\[\],;:\"\\-]{1,12}@[A-Za-z0-9.@_-]{0,12}", fullmatch=True))
@example("a" * 64 + "@b.example")
@example("a" * 65 + "@b.example")
@example("a@" + "b" * 252)
@example("a@" + "b" * 253)
@example("a@b..c")
@example("Alice@B.example")
def test_addresses(address: str) -> None:
    claims = {**named("alice"), "email": address}
    assert by_mas(KEYCLOAK_TEMPLATES, claims).email == by_us(KEYCLOAK, claims).email


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "0", "1", "member", "/amt/it", "amt/it", "#EXT#", "sub", "Ä b", "x:y"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["roles", "realm_access", "member", "groups", "roles.x"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
NAMES = ("sub", "tid", "oid", "acct", "preferred_username", "upn", "name", "email", "email_verified", "roles", "groups")
GATED = (
    keycloak_config(required_roles=["member", "/amt/it"], groups_path="groups"),
    keycloak_config(required_roles=["member"], client_id="synapse"),
    entra_config(required_roles=["member", "/amt/it"], groups_path="groups", trust_email=True),
    entra_config(),
    okta_config(required_roles=["member"], roles_path=["realm_access", "roles"]),
    generic_config(),
    generic_config(subject_claims=["sub", "oid"], required_roles=["/amt/it"], groups_path="groups"),
)
GATES = [(config, templates_of(config)) for config in GATED]


@given(
    gate=st.sampled_from(GATES),
    claims=st.dictionaries(
        st.sampled_from([*NAMES, "realm_access", "resource_access", "_claim_names"]), JSON, max_size=12
    ),
    is_ordinary=st.booleans(),
)
def test_whatever_stands_in_the_claims_nobody_is_let_in_whom_we_refuse(
    *, gate: tuple[Mapping[str, Any], ClaimTemplates], claims: dict[str, Any], is_ordinary: bool
) -> None:
    """And nobody is refused whom we let in."""
    config, templates = gate
    if is_ordinary:
        claims = {**entra_token(), "sub": "s", **claims}
    ours, theirs = by_us(config, claims), by_mas(templates, claims)
    if ours.allowed:
        assert (theirs.subject, theirs.localpart) == (ours.subject, ours.localpart)
        assert theirs.display_name == ours.display_name
    else:
        assert theirs.subject is None or theirs.localpart is None
        # What keeps somebody out at later logins, too, is in the subject's template.
        login_name_only = all("login name" in reason or "preferred_username" in reason for reason in ours.reasons)
        assert theirs.subject is None or login_name_only


@pytest.mark.parametrize(
    ("claims", "is_let_in"),
    [
        ({"groups": ["/amt/it"]}, True),
        ({"groups": ["amt/it"]}, False),
        ({"groups": ["/amt/it/admins"]}, False),
        ({"groups": "/amt/it"}, False),
        ({"realm_access": {"roles": ["member"]}}, True),
        ({"realm_access": {"roles": ["member", 1]}}, False),
        ({"realm_access": {"roles": "member"}}, False),
        ({"realm_access": {"roles": ["/amt/it"]}}, False),
        ({"realm_access": ["member"]}, False),
        ({"resource_access": {"other": {"roles": ["member"]}}}, False),
        ({}, False),
    ],
)
def test_only_who_has_a_required_role_is_let_in(claims: dict[str, Any], is_let_in: bool) -> None:  # noqa: FBT001
    config, templates = GATES[0]
    person = {**named("alice"), **claims}
    assert (by_mas(templates, person).subject == "s") is is_let_in
    assert by_us(config, person).allowed is is_let_in


def test_claims_of_the_userinfo_endpoint_are_not_mixed_with_the_token() -> None:
    """As with Synapse: a token that says more than the endpoint grants nothing."""
    templates = claim_templates(parse_mapping(keycloak_config()), from_userinfo=True, room=ROOM)
    assert by_mas(templates, named("alice"), "userinfo_claims").localpart == "alice"
    assert by_mas(templates, named("alice"), "id_token_claims") == Person(None, None, None, None)


def test_templates_ask_for_nothing_that_mas_does_not_have() -> None:
    for _config, templates in GATES:
        for template in (templates.subject, templates.localpart, templates.display_name, templates.email or ""):
            assert ENVIRONMENT.undeclared_variables_in_str(template) <= {"id_token_claims", "namespace"}


def test_the_ranges_are_those_of_unicode() -> None:
    """Nothing that shows is in them, and everything that has a character but no shape is."""
    covered = [False] * 0x110000
    for first, last in INVISIBLE:
        covered[ord(first) : ord(last) + 1] = [True] * (ord(last) - ord(first) + 1)
    for number, is_covered in enumerate(covered):
        category = unicodedata.category(chr(number))
        if category not in {"Cs", "Cn"}:
            assert is_covered is (category in {"Cc", "Cf", "Co", "Zl", "Zp"}), hex(number)


def test_umlauts_that_come_in_pieces_are_known() -> None:
    assert {letter for _apart, letter in composed_umlauts()} == set("äöüå")
