"""When what has failed is tried again."""

from synapse_bum.oidc.scim.retries import Retries

ANNA = ("keycloak", "anna")
BERT = ("keycloak", "bert")


def failed(times: int, *, change_ts: int = 1) -> Retries:
    retries = Retries(2_000, 300_000)
    for _time in range(times):
        retries.failed(ANNA, change_ts, 1_000_000)
    return retries


def wait_ms(retries: Retries) -> int:
    return next(ms for ms in range(0, 400_000, 1_000) if retries.is_due(ANNA, 1, 1_000_000 + ms))


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    assert [wait_ms(failed(times)) for times in (0, 1, 2, 3, 8, 9, 5_000)] == [
        0,
        2_000,
        4_000,
        8_000,
        256_000,
        300_000,
        300_000,
    ]


def test_nobody_else_waits_nor_a_new_change_nor_after_a_clock_was_set_back() -> None:
    retries = failed(5)
    assert retries.is_due(BERT, 1, 1_000_000)
    assert retries.is_due(ANNA, 2, 1_000_000)
    assert retries.is_due(ANNA, 1, 999_999)
    assert not retries.is_due(ANNA, 1, 1_000_000)


def test_what_has_worked_begins_anew() -> None:
    retries = failed(5)
    retries.worked(ANNA)
    retries.failed(ANNA, 1, 1_000_000)
    assert wait_ms(retries) == 2_000


def test_only_who_is_not_tried_any_more_is_forgotten() -> None:
    retries = failed(9)
    retries.forget_gone(1_000_000 + 299_999)
    assert not retries.is_due(ANNA, 1, 1_000_000 + 299_999)
    retries.forget_gone(1_000_000 + 600_000)
    assert retries.is_due(ANNA, 1, 1_000_000)
