"""Questions that are asked at once: in order, not too many at a time, and the failure of one is the failure of all."""

from synapse.logging.context import make_deferred_yieldable
from synapse.module_api import run_in_background
from tests.unittest import HomeserverTestCase
from twisted.internet.defer import Deferred

from synapse_bum.portal.homeserver_api.at_once import at_once


class AtOnceTestCase(HomeserverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.under_way: dict[int, Deferred[str]] = {}
        self.asked: list[int] = []

    async def ask(self, number: int) -> str:
        self.asked.append(number)
        answer = self.under_way[number] = Deferred()
        return await make_deferred_yieldable(answer)

    def answer(self, number: int, what: "str | Exception") -> None:
        answer = self.under_way.pop(number)
        if isinstance(what, str):
            answer.callback(what)
        else:
            answer.errback(what)

    def test_answers_are_in_the_order_of_the_questions(self) -> None:
        done = run_in_background(at_once, self.ask, range(8))
        assert self.asked == [0, 1, 2, 3, 4], "not all of them at once"
        for number in (4, 0, 2):
            self.answer(number, f"answer {number}")
        assert self.asked == list(range(8))
        for number in (7, 6, 5, 3, 1):
            self.answer(number, f"answer {number}")
        assert self.successResultOf(done) == [f"answer {number}" for number in range(8)]

    def test_nothing_to_ask(self) -> None:
        assert self.get_success(at_once(self.ask, [])) == []

    def test_the_first_failure_is_raised_as_it_is_and_ends_the_asking(self) -> None:
        done = run_in_background(at_once, self.ask, range(8))
        self.answer(3, ConnectionError("away"))
        failure = self.failureResultOf(done, ConnectionError)  # type: ignore[no-untyped-call]
        assert str(failure.value) == "away"
        for number in (0, 1, 2, 4):
            self.answer(number, "late")
        assert len(self.asked) == 5
