"""Who becomes an administrator by a role, and who stays one."""

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.oidc.admin_rules import Act, GrantState, Standing, claim_by_age, on_claim, on_end
from synapse_bum.oidc.emails import EmailStep, email_step
from synapse_bum.oidc.mapping import AdminClaim

STANDINGS = st.builds(
    Standing,
    is_admin=st.booleans(),
    is_open=st.booleans(),
    own=st.none() | st.sampled_from(GrantState),
    others=st.frozensets(st.sampled_from(GrantState)),
)
ADDRESSES = st.none() | st.sampled_from(["a@x.example", "b@x.example"])
ADMIN = Standing(is_admin=True, is_open=True, own=GrantState.HELD)
NOBODY = Standing(is_admin=False, is_open=True)


def nobody_stays() -> bool:
    return False


def somebody_stays() -> bool:
    return True


def test_a_role_appoints_and_confirms() -> None:
    assert on_claim(AdminClaim.YES, NOBODY, nobody_stays) is Act.APPOINT
    assert on_claim(AdminClaim.YES, ADMIN, nobody_stays) is Act.CONFIRM


def test_the_absence_of_the_role_revokes_unless_nobody_else_stays() -> None:
    assert on_claim(AdminClaim.NO, ADMIN, somebody_stays) is Act.REVOKE
    assert on_claim(AdminClaim.NO, ADMIN, nobody_stays) is Act.KEEP


@given(STANDINGS, st.booleans())
def test_an_unknown_claim_changes_nothing(standing: Standing, stays: bool) -> None:  # noqa: FBT001 - generated
    assert on_claim(AdminClaim.UNKNOWN, standing, lambda: stays) is Act.NOTHING


@given(st.sampled_from(AdminClaim), STANDINGS, st.booleans())
def test_who_was_appointed_by_hand_is_left_alone(claim: AdminClaim, standing: Standing, stays: bool) -> None:  # noqa: FBT001
    if standing.is_appointed_by_hand:
        assert on_claim(claim, standing, lambda: stays) is Act.NOTHING
        assert on_end(standing, lambda: stays) is Act.NOTHING


@given(STANDINGS)
def test_the_last_administrator_is_never_removed(standing: Standing) -> None:
    if standing.is_admin and standing.is_open:
        assert on_end(standing, nobody_stays) is not Act.REVOKE


@given(STANDINGS, st.booleans())
def test_the_right_goes_only_when_no_identity_provider_gives_it(standing: Standing, stays: bool) -> None:  # noqa: FBT001
    if GrantState.HELD in standing.others:
        assert on_end(standing, lambda: stays) in {Act.NOTHING, Act.WITHDRAW}


@given(STANDINGS)
def test_a_grant_always_ends_when_somebody_else_stays(standing: Standing) -> None:
    if standing.own in {GrantState.HELD, GrantState.KEPT}:
        assert on_end(standing, somebody_stays) in {Act.REVOKE, Act.WITHDRAW}


@given(STANDINGS, st.booleans())
def test_who_can_not_act_is_not_appointed(standing: Standing, stays: bool) -> None:  # noqa: FBT001 - generated
    if not standing.is_open:
        assert on_claim(AdminClaim.YES, standing, lambda: stays) is Act.NOTHING


def test_only_a_yes_grows_old() -> None:
    assert claim_by_age(AdminClaim.YES, 10, 10) is AdminClaim.YES
    assert claim_by_age(AdminClaim.YES, 11, 10) is AdminClaim.UNKNOWN
    assert claim_by_age(AdminClaim.NO, 11, 10) is AdminClaim.NO
    assert claim_by_age(AdminClaim.YES, -5, 10) is AdminClaim.YES


@given(ADDRESSES, ADDRESSES, st.sampled_from([None, "@me:x", "@other:x"]))
def test_an_address_is_bound_only_when_it_is_nobodys(email: str | None, bound: str | None, holder: str | None) -> None:
    step = email_step(email, bound, holder, "@me:x")
    assert step.bind == (email if holder is None else None)
    assert bool(step.taken_by) == (email is not None and holder == "@other:x")
    assert step.remove in {None, bound}


def test_only_another_address_removes_the_one_that_was_bound() -> None:
    me = "@me:x"
    assert email_step("new@x", "old@x", None, me) == EmailStep("old@x", "new@x", None)
    assert email_step("new@x", "old@x", "@other:x", me) == EmailStep("old@x", None, "@other:x")
    assert not email_step(None, "old@x", None, me)
    assert not email_step("old@x", "old@x", me, me)
    assert not email_step("own@x", None, me, me)
