"""A verdict counts only when a canary that was sent after it lived, and none died since its scan began."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from synapse_bum.antivirus.engines.clamd_canary import FRESH_S, Canaries, Ticket


class Sky:
    """Canaries that come back when the test says so."""

    def __init__(self) -> None:
        self.flying: list[Deferred[bool]] = []
        self.sent = 0
        self.clock = Clock()
        self.canaries = Canaries(self.fly, self.clock.seconds)

    async def fly(self) -> bool:
        self.sent += 1
        returned: Deferred[bool] = Deferred()
        self.flying.append(returned)
        return await returned

    def return_one(self, *, lived: bool = True) -> None:
        self.flying.pop(0).callback(lived)

    def ask(self, ticket: Ticket) -> list[bool]:
        answers: list[bool] = []
        ensureDeferred(self.canaries.vouch_for(ticket)).addCallback(answers.append)
        return answers


def test_only_a_canary_that_was_sent_after_the_verdict_vouches_for_it() -> None:
    sky = Sky()
    ticket = sky.canaries.scan_begins()
    sky.return_one(lived=True)
    answers = sky.ask(ticket)
    assert answers == []
    sky.return_one(lived=True)
    assert answers == [True]
    assert sky.sent == 2


def test_a_scan_that_begins_right_after_a_canary_lived_sends_none_of_its_own() -> None:
    sky = Sky()
    answers = sky.ask(sky.canaries.scan_begins())
    sky.return_one()
    sky.return_one()
    assert answers == [True]
    sky.clock.advance(FRESH_S / 2)
    ticket = sky.canaries.scan_begins()
    assert sky.flying == []
    answers = sky.ask(ticket)
    assert len(sky.flying) == 1, "but one after its verdict"
    sky.return_one()
    assert answers == [True]
    sky.clock.advance(FRESH_S * 2)
    sky.canaries.scan_begins()
    assert len(sky.flying) == 1, "and it does again when that is long ago"


def test_a_scan_that_begins_right_after_a_canary_died_sends_its_own() -> None:
    sky = Sky()
    sky.canaries.scan_begins()
    sky.return_one(lived=False)
    sky.canaries.scan_begins()
    assert len(sky.flying) == 1


def test_the_death_of_the_canary_after_the_verdict_counts() -> None:
    sky = Sky()
    ticket = sky.canaries.scan_begins()
    sky.return_one(lived=True)
    answers = sky.ask(ticket)
    sky.return_one(lived=False)
    assert answers == [False]


def test_one_canary_vouches_for_all_verdicts_that_came_before_it() -> None:
    sky = Sky()
    tickets = [sky.canaries.scan_begins() for _ in range(8)]
    answers = [sky.ask(ticket) for ticket in tickets]
    sky.return_one()
    assert answers == [[]] * 8
    sky.return_one()
    assert answers == [[True]] * 8
    assert sky.sent == 2


def test_a_canary_that_dies_during_a_scan_is_not_forgotten_because_later_ones_live() -> None:
    sky = Sky()
    ticket = sky.canaries.scan_begins()
    sky.return_one(lived=False)
    answers = sky.ask(ticket)
    sky.return_one(lived=True)
    assert answers == [False]


def test_the_death_of_a_canary_that_flew_when_the_scan_began_counts() -> None:
    sky = Sky()
    sky.canaries.scan_begins()
    answers = sky.ask(sky.canaries.scan_begins())
    sky.return_one(lived=False)
    sky.return_one(lived=True)
    assert answers == [False]


def test_death_before_a_scan_does_not_count_against_it() -> None:
    sky = Sky()
    sky.canaries.scan_begins()
    sky.return_one(lived=False)
    answers = sky.ask(sky.canaries.scan_begins())
    sky.return_one(lived=True)
    sky.return_one(lived=True)
    assert answers == [True]


def test_a_canary_that_can_not_fly_is_a_dead_one() -> None:
    async def crash() -> bool:
        raise RuntimeError

    canaries = Canaries(crash, Clock().seconds)
    answers: list[bool] = []
    ensureDeferred(canaries.vouch_for(canaries.scan_begins())).addCallback(answers.append)
    assert answers == [False]


@given(st.lists(st.sampled_from(["begin", "end", "good", "bad"]), max_size=60))
def test_no_verdict_is_vouched_for_by_a_canary_from_before_it(steps: list[str]) -> None:
    sky, begun, waiting = Sky(), [], []
    outcomes: dict[int, bool] = {}
    for step in steps:
        if step == "begin":
            begun.append((sky.sent, sky.canaries.scan_begins()))
        elif step == "end" and begun:
            _sent_before, ticket = begun.pop(0)
            waiting.append((sky.sent, sky.ask(ticket)))
        elif sky.flying and step in {"good", "bad"}:
            outcomes[sky.sent] = step == "good"
            sky.return_one(lived=step == "good")
        assert len(sky.flying) <= 1
    for sent_before, answers in waiting:
        if answers == [True]:
            assert any(lived for number, lived in outcomes.items() if number > sent_before)
