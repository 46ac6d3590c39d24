"""What is known of a deletion that was begun."""

import pytest

from synapse_bum.portal.accounts.account_deletion import HeldError, why_stopped
from synapse_bum.portal.accounts.begun_deletions import BUSY_MS, BegunDeletion, Stage, Stopped
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, UnauthorisedError, UnavailableError


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (HeldError("@a:test"), Stopped.HELD),
        (ForbiddenError(403, "M_FORBIDDEN", "No"), Stopped.REFUSED),
        (UnauthorisedError(), Stopped.LOGGED_OUT),
        (UnavailableError(), Stopped.UNAVAILABLE),
        (OSError("database"), Stopped.UNAVAILABLE),
    ],
)
def test_why_it_stopped(error: Exception, why: Stopped) -> None:
    assert why_stopped(error) is why


def test_without_a_word_it_died() -> None:
    found = BegunDeletion("@a:test", "@boss:test", 1, Stage.FILES, 5, None, None)
    assert (found.why, found.is_partly_done) == ("died", True)
    assert [found.is_busy(now_ms) for now_ms in (4, 5)] == [True, False]


def test_busy_is_longer_than_any_single_request() -> None:
    assert BUSY_MS > 2 * 70_000
