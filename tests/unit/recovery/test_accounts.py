"""What the log's last word means for an account that a backup brought back."""

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.homeserver.stored_accounts import StoredAccount
from synapse_bum.recovery.accounts import FLAGS, Accounts, closing, digest

SALTS = st.none() | st.sampled_from(["$2b$12$one", "$2b$12$two"])
ACCOUNTS = st.builds(StoredAccount, *(st.booleans() for _ in FLAGS), SALTS)
STATES = st.fixed_dictionaries({}, optional={**{flag: st.booleans() for flag in FLAGS}, "password": SALTS.map(digest)})


@given(ACCOUNTS, STATES)
def test_no_right_and_no_account_is_given_back(current: StoredAccount, state: dict[str, object]) -> None:
    values = closing(current, state).values
    assert values.get("admin") is not True
    assert values.get("deactivated") is not False
    assert values.get("erased") is not False


@given(ACCOUNTS, STATES)
def test_what_was_closed_is_closed(current: StoredAccount, state: dict[str, object]) -> None:
    values = closing(current, state).values
    after = {flag: values.get(flag, getattr(current, flag)) for flag in FLAGS}
    for flag in ("deactivated", "locked", "suspended", "shadow_banned", "unapproved", "erased"):
        if state.get(flag) is True:
            assert after[flag] is True
    if state.get("admin") is False:
        assert after["admin"] is False


@given(ACCOUNTS, STATES)
def test_an_older_password_never_works(current: StoredAccount, state: dict[str, object]) -> None:
    same = "password" not in state or state["password"] == digest(current.password_salt)
    deactivates = state.get("deactivated") is True and not current.deactivated
    keeps = not closing(current, state).drop_password
    assert keeps == ((same or current.password_salt is None) and not deactivates)


@given(ACCOUNTS)
def test_an_account_that_is_as_it_was_stays_so(current: StoredAccount) -> None:
    state = {**{flag: getattr(current, flag) for flag in FLAGS}, "password": digest(current.password_salt)}
    decided = closing(current, state)
    assert (decided.values, decided.drop_password, decided.not_given_back) == ({}, False, ())


def test_the_log_holds_a_digest_of_the_salt_only() -> None:
    state = Accounts().state_of("\x1f".join(["0"] * len(FLAGS) + ["$2b$12$stored"]))
    assert state is not None
    assert "$2b" not in str(state)
    assert state["password"] == digest("$2b$12$stored")
