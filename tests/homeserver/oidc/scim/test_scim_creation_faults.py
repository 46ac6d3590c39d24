"""A creation that is cut off at any point: never two accounts, never somebody else's."""

from http import HTTPStatus
from typing import Any
from unittest.mock import patch

import bcrypt

from synapse_bum.homeserver.account_creation import mark_for, register
from synapse_bum.testing.scim_bodies import scim_user
from synapse_bum.testing.scim_case import USERS, JsonDict, ScimCase

ACCOUNTS = "synapse_bum.oidc.scim.accounts"


class CreationFaultsTestCase(ScimCase):
    def cut_off(self, point: str) -> None:
        """Sends a POST that dies when it gets to a function."""
        with patch(f"{ACCOUNTS}.{point}", side_effect=RuntimeError):
            self.refused(self.ask("POST", USERS, scim_user()), HTTPStatus.INTERNAL_SERVER_ERROR)

    def accounts(self) -> list[tuple[str, str | None]]:
        """The accounts that might be Anna's, each with its link."""
        found = self.rows(
            "SELECT u.name, e.external_id FROM users AS u LEFT JOIN user_external_ids AS e ON e.user_id = u.name"
            " WHERE u.name LIKE ? ORDER BY u.name",
            "@anna%",
        )
        return [(name, subject) for name, subject in found]

    def test_killed_between_registration_and_link_the_next_post_goes_on(self) -> None:
        self.cut_off("link_marked")
        assert self.accounts() == [("@anna:test", None)]
        assert self.answered(self.ask("GET", USERS))["totalResults"] == 0
        self.create()
        assert self.accounts() == [("@anna:test", "subject-of-anna")]
        assert self.rows("SELECT password_hash FROM users WHERE name = '@anna:test'") == [(None,)]

    def test_without_another_post_the_duty_links_it(self) -> None:
        self.cut_off("link_marked")
        self.wait(40)
        self.wait(2)
        assert self.accounts() == [("@anna:test", "subject-of-anna")]
        self.refused(self.ask("POST", USERS, scim_user()), HTTPStatus.CONFLICT, "uniqueness")
        assert self.audited() == ["oidc.scim.created"]

    def test_killed_before_the_registration_nothing_is_left(self) -> None:
        self.cut_off("register")
        assert self.accounts() == []
        self.wait(40)
        self.wait(2)
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_scim_users") == [(0,)]
        self.create()
        assert self.accounts() == [("@anna:test", "subject-of-anna")]

    def test_who_takes_the_name_meanwhile_keeps_his_account(self) -> None:
        self.cut_off("register")
        self.register_user("anna", "pass")
        self.refused(self.ask("POST", USERS, scim_user()), HTTPStatus.SERVICE_UNAVAILABLE)
        assert self.accounts() == [("@anna:test", None)]
        self.wait(70)
        made = self.create()
        assert self.account_of(made) != "@anna:test"
        assert ("@anna:test", None) in self.accounts()
        assert len(self.accounts()) == 2
        self.login("anna", "pass")

    def test_a_name_that_is_taken_at_the_last_moment_costs_a_suffix(self) -> None:
        taken: list[str] = []

        async def late(api: Any, localpart: str, display_name: str | None, mark: str) -> None:  # noqa: ANN401
            if not taken:
                taken.append(localpart)
                handler = self.hs.get_registration_handler()
                await handler.register_user(localpart="anna", password_hash="somebody else's")
            await register(api, localpart, display_name, mark)

        with patch(f"{ACCOUNTS}.register", late):
            answer = self.ask("POST", USERS, scim_user())
        # Within a minute nobody can tell him from the same person who logs in for the first time.
        self.refused(answer, HTTPStatus.SERVICE_UNAVAILABLE)
        self.wait(61)
        assert self.account_of(self.create()).startswith("@anna-")

    def both_at_once(self, other: JsonDict) -> list[int]:
        """Sends a second POST when the account of the first one is registered and not linked yet."""
        nested: list[int] = []

        async def meanwhile(*arguments: Any) -> None:  # noqa: ANN401
            if not nested:
                nested.append(0)
                await register(*arguments)
                nested.append(self.ask("POST", USERS, other).code)
                if len(self.accounts()) == 1 and self.accounts()[0][1] is None:
                    return
            await register(*arguments)

        with patch(f"{ACCOUNTS}.register", meanwhile):
            first = self.ask("POST", USERS, scim_user()).code
        return sorted([first, nested[1]])

    def test_two_people_with_one_login_name_are_not_created_at_once(self) -> None:
        assert self.both_at_once(scim_user("ANNA", "somebody else")) == [201, 409]
        assert self.accounts() == [("@anna:test", "subject-of-anna")]

    def test_two_posts_at_once_make_one_account(self) -> None:
        assert self.both_at_once(scim_user()) == [201, 409]
        assert self.accounts() == [("@anna:test", "subject-of-anna")]

    def test_no_password_fits_the_mark(self) -> None:
        for number in range(3):
            mark = mark_for("a", str(number))
            assert not bcrypt.checkpw(b"guess", mark.encode())
            assert len(mark) == 60
        assert mark_for("a", "b") != mark_for("b", "a")
