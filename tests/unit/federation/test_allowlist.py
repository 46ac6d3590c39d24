"""The rule who is a partner when, compared with a slow one that is written down the way the handbook says it."""

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_bum.federation.allowlist import Allowlist
from synapse_bum.federation.latest_time import LatestTime
from synapse_bum.federation.partner import Because, Decision, Partner, Source
from synapse_bum.identifiers import is_server_name

LABELS = st.sampled_from(["a", "b", "ab", "bund", "Bund", "example", "xn--mnchen-3ya", "1", "x-y"])
PORTS = st.sampled_from(["", "", "", ":8448", ":443"])
NAMES = st.builds(lambda labels, port: ".".join(labels) + port, st.lists(LABELS, min_size=1, max_size=4), PORTS)
TIMES = st.one_of(st.none(), st.integers(0, 20))
PARTNERS = st.builds(
    lambda name, wildcard, source, begin, end, leaving: Partner(
        ("*." if wildcard else "") + name.lower(),
        None,
        source,
        begin,
        end,
        leaving_until_ts=leaving if source is Source.MANAGED else None,
    ),
    NAMES,
    st.booleans(),
    st.sampled_from(list(Source)),
    TIMES,
    TIMES,
    TIMES,
)
STRANGE = st.text(string.ascii_letters + string.digits + ".-:*@/[]_\n ", max_size=30)


def deciding(partners: list[Partner], name: str) -> Partner | None:
    """The partner that decides about a server: the most specific name, then the first source."""
    host, _, port = name.partition(":")
    labels = host.split(".")
    candidates = [] if name.startswith("*.") else [name]
    if is_server_name(name) and name == name.lower():
        behind = f":{port}" if port else ""
        candidates += ["*." + ".".join(labels[count:]) + behind for count in range(1, len(labels))]
    for candidate in candidates:
        for source in (Source.STATIC, Source.MANAGED, Source.SIGNED_LIST):
            for partner in partners:
                if partner.server_name == candidate and partner.source is source:
                    return partner
    return None


def expected(partners: list[Partner], name: str, now: int, list_until: int | None) -> tuple[bool, bool]:
    """Whether a server is let in, and whether something may go out to it."""
    partner = deciding(partners, name)
    if partner is None or (partner.valid_from_ts is not None and now < partner.valid_from_ts):
        return False, False
    if partner.valid_until_ts is not None and now >= partner.valid_until_ts:
        return False, False
    if partner.source is Source.SIGNED_LIST and list_until is not None and now >= list_until:
        return False, False
    if partner.leaving_until_ts is not None:
        return False, now < partner.leaving_until_ts
    return True, True


@settings(max_examples=500)
@given(st.lists(PARTNERS, max_size=12), st.lists(NAMES | STRANGE, min_size=1, max_size=8), st.integers(0, 21), TIMES)
def test_the_allowlist_decides_as_the_reference_does(
    partners: list[Partner], names: list[str], now: int, list_until: int | None
) -> None:
    allowlist = Allowlist(partners, list_until)
    for name in [*names, *(one.server_name for one in partners)]:
        found = allowlist.lets_in(name, now), allowlist.lets_out(name, now)
        assert found == expected(partners, name, now, list_until)
        decision = allowlist.decide(name, now)
        partner = deciding(partners, name)
        assert decision.allowed == found[0]
        assert decision.matched == (None if partner is None else partner.server_name)
        assert decision.allowed == (decision.because is Because.PARTNER)


def partner(name: str, source: Source = Source.MANAGED, **fields: Any) -> Partner:  # noqa: ANN401 - of a partner
    return Partner(name, None, source, **fields)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("a.bund.example", True),
        ("A.bund.example", False),
        ("a.Bund.example", False),
        ("\u212a.bund.example", False),
        ("a.b.bund.example", True),
        ("bund.example", False),
        ("xbund.example", False),
        (".bund.example", False),
        ("..bund.example", False),
        ("a.bund.example:8448", False),
        ("a.bund.example.evil.example", False),
        ("evil.example/a.bund.example", False),
        ("evil.example:1.bund.example", False),
        ("@evil.example#.bund.example", False),
        ("*.bund.example", False),
        ("a.bund.example\n", False),
        ("", False),
    ],
)
def test_a_wildcard_is_for_names_below_it(name: str, *, allowed: bool) -> None:
    assert Allowlist([partner("*.bund.example")]).lets_in(name, 0) is allowed


@pytest.mark.parametrize("name", ["K.example", "k.Example", "\u212a.example"])
def test_names_are_compared_exactly(name: str) -> None:
    allowlist = Allowlist([partner("k.example"), partner("*.k.example")])
    assert allowlist.lets_in("k.example", 0)
    assert not allowlist.lets_in(name, 0)
    assert not allowlist.lets_out(f"a.{name}", 0)


def test_a_clock_that_was_set_back_brings_nobody_back() -> None:
    passed_ns = 0
    allowlist = Allowlist(
        [partner("a.example", valid_until_ts=10_000), partner("b.example", leaving_until_ts=10_000)],
        latest=LatestTime(lambda: passed_ns),
    )
    assert allowlist.lets_in("a.example", 9_000)
    passed_ns = 1_000 * 1_000_000
    for now in (10_000, 5_000):
        assert not allowlist.lets_in("a.example", now)
        assert not allowlist.lets_out("b.example", now)
        assert not allowlist.is_valid(allowlist.in_force["a.example"], now)
        assert list(allowlist.valid_names(now)) == []
        assert allowlist.decide("a.example", now).because is Because.EXPIRED


def test_a_clock_that_was_set_back_delays_no_end_and_brings_no_beginning_forward() -> None:
    passed_ns = 0
    allowlist = Allowlist(
        [partner("a.example", valid_until_ts=10_000), partner("b.example", valid_from_ts=4_000, valid_until_ts=20_000)],
        latest=LatestTime(lambda: passed_ns),
    )
    assert allowlist.lets_in("b.example", 9_000)
    assert not allowlist.lets_in("b.example", 3_000)
    passed_ns = 999 * 1_000_000
    assert allowlist.lets_in("a.example", 3_999)
    passed_ns = 1_000 * 1_000_000
    assert not allowlist.lets_in("a.example", 4_000)


def test_validity_counts_to_the_millisecond() -> None:
    allowlist = Allowlist([partner("a.example", valid_from_ts=1_000, valid_until_ts=2_000)])
    found = {now: allowlist.decide("a.example", now) for now in (999, 1_000, 1_999, 2_000)}
    assert found == {
        999: Decision(allowed=False, because=Because.NOT_YET_VALID, matched="a.example"),
        1_000: Decision(allowed=True, because=Because.PARTNER, matched="a.example"),
        1_999: Decision(allowed=True, because=Because.PARTNER, matched="a.example"),
        2_000: Decision(allowed=False, because=Because.EXPIRED, matched="a.example"),
    }


def test_the_most_specific_partner_decides_also_when_it_ended() -> None:
    ended = partner("a.bund.example", valid_until_ts=5)
    allowlist = Allowlist([partner("*.bund.example"), ended])
    assert not allowlist.lets_in("a.bund.example", 5)
    assert allowlist.lets_in("b.bund.example", 5)
    assert allowlist.without(ended).lets_in("a.bund.example", 5)


def test_the_configuration_wins_over_operators_and_these_over_the_list() -> None:
    of_list, managed, static = (partner("a.example", source, valid_until_ts=end) for source, end in ENDS)
    for order in ([of_list, managed, static], [static, managed, of_list]):
        assert Allowlist(order).in_force == {"a.example": static}
    assert Allowlist([of_list, managed]).in_force == {"a.example": managed}
    assert Allowlist([static, managed]).without(static).in_force == {"a.example": managed}


ENDS = ((Source.SIGNED_LIST, 30), (Source.MANAGED, 20), (Source.STATIC, 10))


def test_a_list_that_was_not_confirmed_for_too_long_is_not_believed() -> None:
    allowlist = Allowlist([partner("a.example", Source.SIGNED_LIST), partner("b.example")], list_until_ts=10)
    assert allowlist.lets_in("a.example", 9)
    assert allowlist.decide("a.example", 10).because is Because.LIST_IS_STALE
    assert allowlist.lets_in("b.example", 10)


def test_while_a_partner_leaves_only_the_way_out_is_open_and_not_for_long() -> None:
    allowlist = Allowlist([partner("a.example", leaving_until_ts=10)])
    assert not allowlist.lets_in("a.example", 0)
    assert allowlist.decide("a.example", 0).because is Because.BEING_REMOVED
    assert allowlist.lets_out("a.example", 9)
    assert not allowlist.lets_out("a.example", 10)


def test_names_of_partners_are_shown_without_wildcards() -> None:
    found = [partner("a.example"), partner("b.example", valid_until_ts=1), partner("*.bund.example")]
    assert list(Allowlist(found).valid_names(1)) == ["a.example"]
