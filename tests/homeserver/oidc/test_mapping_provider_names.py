"""Who gets which name when others want it too, or have a right to it."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.server import FakeChannel

from synapse_bum.oidc import localparts
from synapse_bum.oidc.localparts import Choice, Newcomer, Outcome
from synapse_bum.testing.sso_case import SsoTestCase

HOUR_MS = 3_600_000
ANNA = {"sub": "anna's subject", "preferred_username": "anna"}
OTHER_ANNA = {"sub": "another subject", "preferred_username": "anna"}


class ReservationTestCase(SsoTestCase):
    def newcomer(self, subject: str) -> Newcomer:
        return Newcomer("keycloak", "oidc-keycloak", subject, "test", ("anna", f"anna-{subject}"))

    def reserve(self, subject: str, now_ms: int) -> Choice:
        return self.in_transaction(localparts.reserve, subject, now_ms)

    def look_up(self, subject: str, now_ms: int) -> Choice:
        return self.in_transaction(localparts.look_up, subject, now_ms)

    def in_transaction(self, func: Any, subject: str, now_ms: int) -> Choice:  # noqa: ANN401 - of two functions
        done = self.hs.get_module_api().run_db_interaction("test", func, self.newcomer(subject), now_ms)
        choice: Choice = self.get_success(done)
        return choice

    def test_a_name_is_kept_for_an_hour_for_whom_it_was_given_to(self) -> None:
        first, second = Choice(Outcome.FREE, "@anna:test"), Choice(Outcome.FREE, "@anna-b:test")
        assert self.look_up("a", 0) == self.look_up("b", 0) == first
        assert self.reserve("a", 0) == first
        assert self.look_up("b", 1) == self.reserve("b", 1) == second
        assert self.look_up("a", 2) == self.reserve("a", HOUR_MS // 2) == first
        assert self.reserve("b", HOUR_MS) == second
        late = HOUR_MS + HOUR_MS // 2
        assert self.look_up("c", late) == self.reserve("c", late) == first
        assert self.count("SELECT COUNT(*) FROM synapse_bum_oidc_localparts") == 2

    def test_a_clock_that_ran_ahead_keeps_no_name(self) -> None:
        self.reserve("a", 10**15)
        assert self.look_up("b", 1) == self.reserve("b", 1) == Choice(Outcome.FREE, "@anna:test")

    def test_looking_changes_nothing(self) -> None:
        self.look_up("a", 0)
        assert self.count("SELECT COUNT(*) FROM synapse_bum_oidc_localparts") == 0

    def test_when_all_names_are_taken_there_is_none(self) -> None:
        self.register_user("anna", "pass")
        self.register_user("anna-a", "pass")
        assert self.look_up("a", 0) == self.reserve("a", 0) == Choice(Outcome.NONE_LEFT)

    def test_who_is_in_the_middle_of_a_registration_gets_no_second_account(self) -> None:
        self.reserve("a", 0)
        self.register_user("anna", "pass")
        assert self.look_up("a", 59_999) == self.reserve("a", 59_999) == Choice(Outcome.UNDER_WAY)
        assert self.reserve("a", 60_000) == Choice(Outcome.FREE, "@anna-a:test")
        self.rows("INSERT INTO user_external_ids VALUES ('oidc-keycloak', 'a', '@anna:test')")
        assert self.look_up("a", 60_001) == self.reserve("a", 60_001) == Choice(Outcome.LINKED, "@anna:test")


def known_only_later(known: Any) -> Any:  # noqa: ANN401 - Synapse's method
    """Wraps Synapse's look-up so that the first call does not see the account that another process makes just then."""
    calls: list[object] = []

    async def look_up(*args: object) -> str | None:
        calls.append(args)
        found: str | None = await known(*args)
        return None if len(calls) == 1 else found

    return look_up


class NameTestCase(SsoTestCase):
    def test_who_is_registered_between_synapses_look_up_and_ours_chooses_no_name(self) -> None:
        user = self.user_of(ANNA)
        store = self.hs.get_datastores().main
        with patch.object(store, "get_user_by_external_id", known_only_later(store.get_user_by_external_id)):
            assert "log in once more" in self.refused(ANNA)
        assert self.user_of(ANNA) == user

    def test_who_was_registered_by_another_process_meanwhile_is_asked_to_come_again(self) -> None:
        """Synapse would take the answer "he has an account" for the wish to let him choose a name."""

        async def unknown(*_args: object) -> None:
            return None

        user = self.user_of(ANNA)
        store = self.hs.get_datastores().main
        with patch.object(store, "get_user_by_external_id", unknown):
            assert "log in once more" in self.refused(ANNA)
        assert self.user_of(ANNA) == user

    def test_the_same_person_at_two_providers_is_two_accounts(self) -> None:
        self.rows("INSERT INTO user_external_ids VALUES ('oidc-okta', ?, '@boss:test')", ANNA["sub"])
        assert self.user_of(ANNA) == "@anna:test"

    def test_a_name_that_is_reserved_for_somebody_else_is_not_given(self) -> None:
        api = self.hs.get_module_api()
        other = Newcomer("keycloak", "oidc-keycloak", "on the page with the terms", "test", ("anna",))
        done = api.run_db_interaction("test", localparts.reserve, other, int(self.hs.get_clock().time_msec()))
        self.get_success(done)
        assert self.user_of(ANNA).startswith("@anna-")


class ProfileUpdateNameTestCase(NameTestCase):
    """`sso.update_profile_information`: people who have an account are mapped, too."""

    server = {"sso": {"update_profile_information": True}}


class NamespaceTestCase(SsoTestCase):
    """User ids that application services and the server itself keep for themselves."""

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        service = {
            "id": "bridge",
            "url": None,
            "as_token": "a",
            "hs_token": "b",
            "sender_localpart": "bridge",
            "namespaces": {
                "users": [
                    {"exclusive": True, "regex": "@anna:.*"},
                    {"exclusive": True, "regex": "@telegram[.-].*"},
                    {"exclusive": False, "regex": "@bert:.*"},
                ]
            },
        }
        path = Path(self.mktemp())  # type: ignore[no-untyped-call]
        path.write_text(json.dumps(service))
        config["app_service_config_files"] = [str(path)]
        config["server_notices"] = {"system_mxid_localpart": "notices"}
        return config

    def test_who_has_such_a_name_gets_one_with_a_suffix(self) -> None:
        for name in ("anna", "bridge", "notices"):
            assert self.user_of({"sub": name, "preferred_username": name}).startswith(f"@{name}-"), name
        assert self.user_of({"sub": "bert", "preferred_username": "bert"}) == "@bert:test"

    def test_who_has_such_a_name_with_every_suffix_is_told_so(self) -> None:
        assert "taken or reserved" in self.refused({"sub": "t", "preferred_username": "telegram.t"})


class TermsTestCase(SsoTestCase):
    """Between the mapping and the registration lies a page."""

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        folder = Path(self.mktemp())  # type: ignore[no-untyped-call]
        (folder / "en").mkdir(parents=True)
        for page in ("1", "success"):
            (folder / "en" / f"{page}.html").write_text("terms")
        config["user_consent"] = {
            "version": "1",
            "template_dir": str(folder.resolve()),
            "require_at_registration": True,
            "policy_name": "Terms",
        }
        config["form_secret"] = "secret"
        return config

    def accept(self, cookies: dict[str, str]) -> FakeChannel:
        """Accepts the terms and follows to the end of the registration."""
        headers = [("Cookie", f"username_mapping_session={cookies['username_mapping_session']}")]
        path = "/_synapse/client/new_user_consent"
        sent = self.make_request(
            "POST", path, "accepted_version=1", content_is_form=True, custom_headers=headers, shorthand=False
        )
        assert sent.code == HTTPStatus.FOUND, sent.text_body
        return self.make_request("GET", "/_synapse/client/sso_register", custom_headers=headers, shorthand=False)

    def test_nobody_else_gets_the_name_meanwhile(self) -> None:
        reading: dict[str, str] = {}
        other: dict[str, str] = {}
        self.come_back(ANNA).extract_cookies(reading)
        self.come_back(OTHER_ANNA).extract_cookies(other)
        assert self.accept(other).code == HTTPStatus.OK
        assert self.accept(reading).code == HTTPStatus.OK
        users = dict(self.rows("SELECT external_id, user_id FROM user_external_ids"))
        assert users[ANNA["sub"]] == "@anna:test"
        assert users[OTHER_ANNA["sub"]].startswith("@anna-")
