"""Which account names people get: always the same, never somebody else's, and all of them allowed by Synapse."""

import random as randomness
import re
import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synapse.types import GUEST_USER_ID_PATTERN, contains_invalid_mxid_characters

from synapse_bum.oidc.mapping import LocalpartError, MappingConfig, candidate, decide, parse_mapping, subject_of
from synapse_bum.oidc.mapping.localpart import MAX_ATTEMPTS, base_localpart
from synapse_bum.testing.identity_tokens import generic_config, okta_config

CONFIG = parse_mapping(generic_config())
BEFORE_AT = parse_mapping(okta_config())

names = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]), min_size=1, max_size=300)
foreign_names = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn"]).filter(
        lambda character: "LATIN " not in unicodedata.name(character, "")
    )
    | st.sampled_from("=/_+.0ёЁй\u05b0"),
    max_size=4,
)
alike = st.sampled_from(
    ["jürgen.groß", "JÜRGEN.GROSS", "juergen.gross", "Juergen Groß", "ju\u0308rgen.gross", "jürgen.groẞ@a.example"]
)
subjects = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
server_names = st.integers(1, 230).map(lambda length: "s" * length)


def base_of(config: MappingConfig, name: str, subject: str = "s") -> str | None:
    return decide(config, {"sub": subject, "preferred_username": name}).localpart


def is_accepted(localpart: str, server_name: str) -> bool:
    """What Synapse asks of a new account (`handlers/register.py`, `check_username`)."""
    return (
        bool(localpart)
        and not contains_invalid_mxid_characters(localpart)
        and not localpart.startswith("_")
        and not GUEST_USER_ID_PATTERN.fullmatch(localpart)
        and len(f"@{localpart}:{server_name}".encode()) <= 255
    )


class Registry:
    """Accounts as the mapping provider hands them out: linked first, then the first name that nobody has."""

    def __init__(self, config: MappingConfig, server_name: str, taken: Iterable[str] = ()) -> None:
        self.config = config
        self.server_name = server_name
        self.owner_of = dict.fromkeys(taken, "")
        self.linked: dict[str, str] = {}

    def log_in(self, subject: str, name: str) -> str:
        claims = {"sub": subject, "preferred_username": name}
        subject = subject_of(self.config, claims)
        if subject not in self.linked:
            base = decide(self.config, claims).localpart
            assert base is not None
            for attempt in range(MAX_ATTEMPTS + 1):
                localpart = candidate(
                    base, idp_id=self.config.idp_id, subject=subject, server_name=self.server_name, attempt=attempt
                )
                assert is_accepted(localpart, self.server_name)
                if self.owner_of.setdefault(localpart, subject) == subject:
                    self.linked[subject] = localpart
                    break
        return self.linked[subject]


@given(
    st.lists(st.tuples(subjects, alike | names), min_size=1, max_size=20),
    server_names,
    st.sets(st.sampled_from(["juergen.gross", "root"])),
    st.randoms(),
)
def test_different_people_have_different_accounts_and_everybody_keeps_his(
    people: list[tuple[str, str]], server_name: str, taken: set[str], random: randomness.Random
) -> None:
    registry = Registry(CONFIG, server_name, taken)
    given_out = {subject: registry.log_in(subject, name) for subject, name in people if base_of(CONFIG, name)}
    assert len(set(given_out.values())) == len(given_out)
    assert not taken & set(given_out.values())
    later = [(subject, name) for subject, name in people if subject in given_out]
    random.shuffle(later)
    for subject, name in later:
        assert registry.log_in(subject, name) == given_out[subject]


@given(names, subjects, server_names, st.integers(0, MAX_ATTEMPTS), st.sampled_from([CONFIG, BEFORE_AT]))
def test_synapse_accepts_every_candidate(
    name: str, subject: str, server_name: str, attempt: int, config: MappingConfig
) -> None:
    base = base_of(config, name)
    if base is None:
        return
    localpart = candidate(base, idp_id="x", subject=subject, server_name=server_name, attempt=attempt)
    assert is_accepted(localpart, server_name)
    assert re.fullmatch(r"(?:[a-z0-9._+-]|=[0-9a-f]{2})+", localpart)


@given(names)
def test_a_name_has_one_localpart_however_it_is_composed(name: str) -> None:
    forms = {base_of(CONFIG, unicodedata.normalize(form, name)) for form in ("NFC", "NFD")}
    assert len(forms) == 1


@given(foreign_names, foreign_names)
def test_what_is_escaped_stays_different(one: str, other: str) -> None:
    """Nothing but Latin letters and white space is merged, unless it is one name in NFC and lower case."""
    first, second = (base_localpart(unicodedata.normalize("NFC", f"-{name}"), before_at=False) for name in (one, other))
    same = len({unicodedata.normalize("NFC", f"-{name}").lower() for name in (one, other)}) == 1
    assert (first == second) is same


@pytest.mark.parametrize(
    "script", ["абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρστυφχψω", "אבגדהוזחט", "一二三四五"]
)
def test_letters_of_other_scripts_stay_different(script: str) -> None:
    assert len({base_localpart(letter, before_at=False) for letter in script}) == len(script)


def test_umlauts_are_two_letters() -> None:
    assert base_of(CONFIG, "bächli") == "baechli"
    assert base_of(CONFIG, "bachli") == "bachli"


@pytest.mark.parametrize(
    ("name", "localpart"),
    [
        ("Ä-Ö-Ü-ẞ-ß", "ae-oe-ue-ss-ss"),
        ("æøåœłđðþ", "aeoeaaoelddth"),
        ("ÀÉÎÕÇÑŠŽČŘĄĘŐŰİI\N{LATIN SMALL LETTER DOTLESS I}", "aeiocnszcraeouiii"),
        ("ǻǿ", "aaoe"),
        ("ﬁﬂ", "fifl"),
        ("\uff21\uff42", "ab"),
        ("x\u0302\u0323y", "xy"),
        ("\u0302x", "=cc=82x"),
        ("\N{CYRILLIC SMALL LETTER A}\u0301", "=d0=b0=cc=81"),
        ("ª²", "=c2=aa=c2=b2"),
        ("a\u00a0 \u2003b", "a.b"),
        ("__a", "=5f_a"),
        ("=5fa", "=3d5fa"),
        ("a/../b", "a=2f..=2fb"),
        ("a:b", "a=3ab"),
        ("0", "u0"),
        ("0a", "0a"),
        ("٣", "=d9=a3"),
    ],
)
def test_how_names_are_written(name: str, localpart: str) -> None:
    assert base_of(CONFIG, name) == localpart


@pytest.mark.parametrize(
    ("name", "localpart"),
    [("a@b", "a"), ("a", "a"), ("a@b@c", "a"), ("a @b", "a"), ("4711@b", "u4711"), ("@b", None), (" @b", None)],
)
def test_what_stands_before_the_first_at_counts(name: str, localpart: str | None) -> None:
    assert base_of(BEFORE_AT, name) == localpart


def test_the_login_name_is_kept_as_it_is_written() -> None:
    decision = decide(BEFORE_AT, {"sub": "s", "preferred_username": " Ju\u0308rgen@B.example "})
    assert decision.user_name == "Jürgen@B.example"


@pytest.mark.parametrize("letter", ["a", "ä", "a\u0308", "ᾂ", unicodedata.normalize("NFD", "ᾂ")])
def test_a_login_name_has_at_most_a_thousand_characters_however_they_are_composed(letter: str) -> None:
    assert base_of(CONFIG, letter * 1000) is not None
    assert base_of(CONFIG, letter * 1001) is None


def test_suffixes_grow_and_belong_to_one_person() -> None:
    def of(idp_id: str, subject: str) -> list[str]:
        return [
            candidate("a", idp_id=idp_id, subject=subject, server_name="b.example", attempt=attempt)
            for attempt in range(MAX_ATTEMPTS + 1)
        ]

    mine = of("x", "1")
    assert mine[0] == "a"
    assert [len(localpart) for localpart in mine] == sorted({len(localpart) for localpart in mine})
    for other in (of("x", "2"), of("y", "1"), of("x1", "")):
        assert set(other[1:]).isdisjoint(mine)
    assert of("x", "1") == mine


def test_a_suffix_never_changes() -> None:
    """Accounts are found by their link and not by their name; a person who comes first again gets the same one."""
    assert candidate("a", idp_id="keycloak", subject="1", server_name="b.example", attempt=1) == "a-bmsbxv"


@pytest.mark.parametrize("server_name", ["b.example", "s" * 230])
def test_a_name_that_is_cut_is_cut_between_characters_and_always_has_a_suffix(server_name: str) -> None:
    for length in range(300):
        base = base_localpart("a" * (length % 3) + "я" * length + "b", before_at=False)
        localpart = candidate(base, idp_id="x", subject="s", server_name=server_name, attempt=0)
        assert is_accepted(localpart, server_name)
        assert re.fullmatch(r"(?:[a-z0-9._+-]|=[0-9a-f]{2})+", localpart)
        assert localpart == base or re.search(r"-[a-z2-7]{4}$", localpart)


def test_there_is_an_end_to_names() -> None:
    for attempt in (-1, MAX_ATTEMPTS + 1):
        with pytest.raises(LocalpartError, match="taken"):
            candidate("a", idp_id="x", subject="s", server_name="b.example", attempt=attempt)
    with pytest.raises(LocalpartError, match="server name"):
        candidate("a", idp_id="x", subject="s", server_name="s" * 254, attempt=0)
