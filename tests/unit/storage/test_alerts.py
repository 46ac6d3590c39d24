"""Operators are told once for each threshold, in a German that they can read, and never of what is not so."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.storage.alerts.mail import Mail, Notice, write_mail
from synapse_bum.storage.alerts.thresholds import MARGIN, crossed, percent
from synapse_bum.storage.usage import Pool

GB = 1_000_000_000
THRESHOLDS = (Decimal("0.8"), Decimal("0.95"), Decimal("1.0"))
NOON = 1_763_809_200_000
"""2025-11-22, 12:00 in Berlin."""


def told_along(usages: Sequence[int], included_bytes: int = 1000) -> list[list[str]]:
    """Which thresholds operators are told of at each of some updates."""
    told: frozenset[Decimal] = frozenset()
    heard = []
    for used_bytes in usages:
        crossing = crossed(used_bytes, included_bytes, THRESHOLDS, told)
        told = crossing.told
        heard.append([percent(threshold) for threshold in crossing.new])
    return heard


def test_each_threshold_is_told_once_at_the_byte_that_reaches_it() -> None:
    assert told_along([799, 800, 801, 949, 950, 999, 1000, 5000]) == [[], ["80"], [], [], ["95"], [], ["100"], []]


def test_thresholds_that_are_reached_together_are_told_together() -> None:
    assert told_along([0, 960]) == [[], ["80", "95"]]


def test_usage_that_flutters_around_a_threshold_is_told_once() -> None:
    assert told_along([800, 799, 800, 784, 800]) == [["80"], [], [], [], []]


def test_usage_that_fell_clearly_below_a_threshold_is_told_again() -> None:
    assert told_along([800, 783, 800]) == [["80"], [], ["80"]]


def test_without_a_pool_the_first_byte_is_told_once_and_nothing_is_divided_by_zero() -> None:
    assert told_along([0, 1, 2, 0, 1], included_bytes=0) == [[], ["80", "95", "100"], [], [], ["80", "95", "100"]]


def test_a_pool_that_grows_is_told_again_when_it_fills_up_again() -> None:
    told = crossed(800, 1000, THRESHOLDS, ()).told
    told = crossed(800, 2000, THRESHOLDS, told).told
    assert crossed(1600, 2000, THRESHOLDS, told).new == (Decimal("0.8"),)


def test_a_threshold_that_is_new_in_the_configuration_is_told_and_a_removed_one_forgotten() -> None:
    crossing = crossed(900, 1000, [Decimal("0.9")], {Decimal("0.8")})
    assert crossing.new == (Decimal("0.9"),)
    assert crossing.told == {Decimal("0.9")}
    assert crossing.left == ()


@given(st.lists(st.integers(0, 3000), max_size=40), st.integers(0, 1500))
def test_between_two_alerts_of_a_threshold_the_usage_was_clearly_below_it(usages: list[int], included: int) -> None:
    heard = told_along(usages, included)
    for threshold in THRESHOLDS:
        news = [n for n, told in enumerate(heard) if percent(threshold) in told]
        for first, second in pairwise(news):
            between = usages[first + 1 : second]
            assert any(used == 0 or used < threshold * included * (1 - MARGIN) for used in between)
        reached = [used for used in usages if used and used >= threshold * included]
        assert bool(reached) == bool(news)


def a_mail(
    *,
    used_bytes: int = 953 * GB,
    included_bytes: int = 1000 * GB,
    users: int = 1000,
    thresholds: tuple[str, ...] = ("0.95",),
    server_name: str = "bum.example",
    hard_limit_bytes: int | None = None,
) -> Mail:
    notice = Notice(NOON, tuple(map(Decimal, thresholds)), Pool(users, used_bytes, included_bytes, GB))
    return write_mail(notice, server_name, ZoneInfo("Europe/Berlin"), hard_limit_bytes)


def test_a_mail_says_what_has_happened_and_what_comes_next() -> None:
    mail = a_mail()
    assert mail.subject == "[bum.example] Speicherplatz zu 95,3 % belegt"
    assert mail.text == (
        "Guten Tag,\n"
        "\n"
        "der Speicherplatz von bum.example ist zu 95,3 % belegt. Damit ist die\n"
        "Schwelle von 95 % erreicht.\n"
        "\n"
        "  Belegt:      953,00 GB\n"
        "  Inbegriffen: 1.000,00 GB (registrierte Konten: 1.000)\n"
        "  Frei:        47,00 GB\n"
        "  Stand:       22.11.2025, 12:00 Uhr (Europe/Berlin)\n"
        "  1 GB:        1.000.000.000 Byte\n"
        "\n"
        "Wie es weitergeht: Wird mehr als der inbegriffene Speicherplatz belegt, wird\n"
        "er in Schritten von 1 GB erweitert, und die Erweiterung wird abgerechnet.\n"
        "Dateien werden weiterhin angenommen.\n"
        "\n"
        "Diese Nachricht kommt für jede Schwelle einmal, und erst dann wieder, wenn\n"
        "die Belegung zwischendurch deutlich darunter lag.\n"
    )


def test_the_page_says_the_same_as_the_text() -> None:
    mail = a_mail()
    for part in ("zu 95,3 % belegt", "953,00 GB", "1.000,00 GB", "22.11.2025, 12:00 Uhr", "für jede Schwelle"):
        assert part in mail.html
        assert part in mail.text


def test_a_name_in_the_page_is_text_and_no_markup() -> None:
    page = a_mail(server_name="<script>alert('x')</script>").html
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page


def test_a_pool_that_is_used_up_names_the_gigabytes_that_are_billed() -> None:
    text = " ".join(a_mail(used_bytes=1040 * GB + 1, thresholds=("1.0",)).text.split())
    assert "Über den inbegriffenen Speicherplatz hinaus sind 41 GB angefangen." in text
    assert "in Schritten von 1 GB abgerechnet" in text
    assert "zu 104,0 % belegt" in text


def test_nothing_is_said_to_be_full_before_it_is() -> None:
    assert "zu 99,9 % belegt" in a_mail(used_bytes=1000 * GB - 1).subject
    assert "zu 100,0 % belegt" in a_mail(used_bytes=1000 * GB).subject


def test_several_thresholds_are_named_in_one_mail() -> None:
    text = " ".join(a_mail(thresholds=("0.8", "0.955", "1.0")).text.split())
    assert "Damit sind die Schwellen von 80 %, 95,5 % und 100 % erreicht." in text


def test_a_limit_is_announced_instead_of_a_promise_that_does_not_hold() -> None:
    text = " ".join(a_mail(hard_limit_bytes=2000 * GB).text.split())
    assert "Was über 2.000,00 GB hinausginge, wird nicht mehr angenommen." in text
    assert "weiterhin" not in text


def test_a_server_without_users_has_no_percentage() -> None:
    mail = a_mail(users=0, included_bytes=0, used_bytes=1)
    assert mail.subject == "[bum.example] Speicherplatz belegt, ohne dass Speicherplatz inbegriffen ist"
    assert "registrierte Konten: 0" in mail.text


@pytest.mark.parametrize("used_bytes", [0, 10**15])
def test_lines_of_the_text_fit_into_a_terminal(used_bytes: int) -> None:
    mail = a_mail(used_bytes=used_bytes, server_name="messenger.behoerde.land.example", hard_limit_bytes=2 * 10**15)
    assert max(map(len, mail.text.splitlines())) <= 78
