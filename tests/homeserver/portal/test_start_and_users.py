"""The start page and the list of users."""

from http import HTTPStatus

from synapse.types import UserID

from synapse_bum.testing.portal_case import PortalTestCase

SCRIPT = "<script>alert('x')</script>"


class StartTestCase(PortalTestCase):
    def test_it_leads_to_both_portals(self) -> None:
        page = self.browser.log_in()
        assert self.browser.status == HTTPStatus.OK
        assert '<html lang="de">' in page
        assert "Identitäten" in page
        assert "Anwendung" in page
        assert "2 Konten" in page
        assert 'href="/_synapse/client/bum/portal/users"' in page
        assert "@boss:test" in page

    def test_who_is_locked_is_counted_as_in_the_list(self) -> None:
        self.get_success(self.hs.get_datastores().main.set_user_locked_status(self.alice, locked=True))
        assert "2 Konten" in self.browser.log_in()


class UsersTestCase(PortalTestCase):
    def test_each_user_with_states(self) -> None:
        self.browser.log_in()
        page = self.browser.get("users")
        assert self.browser.status == HTTPStatus.OK
        assert "Einträge 1 bis 2 von 2" in page
        assert "@alice:test" in page
        assert '<span class="tag">Administrator</span>' in page
        assert "Zuletzt gesehen" not in page

    def test_what_users_call_themselves_is_text_and_nothing_else(self) -> None:
        token = self.login("alice", "pass")
        path = f"/_matrix/client/v3/profile/{self.alice}/displayname"
        assert self.make_request("PUT", path, {"displayname": SCRIPT}, access_token=token).code == HTTPStatus.OK
        self.browser.log_in()
        page = self.browser.get("users")
        assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
        assert "<script" not in page
        page = self.browser.get("users?q=%22%3E%3Cscript%3E")
        assert "<script" not in page
        assert 'value="&#34;&gt;&lt;script&gt;"' in page

    def test_search_and_pages(self) -> None:
        for number in range(60):
            self.register_user(f"user{number:02}", "pass")
        self.browser.log_in()
        page = self.browser.get("users?q=user")
        assert "Einträge 1 bis 50 von 60" in page
        assert 'rel="prev"' not in page
        page = self.browser.get("users?q=user&amp;from=50".replace("&amp;", "&"))
        assert "Einträge 51 bis 60 von 60" in page
        assert "user50" in page
        assert 'rel="next"' not in page
        page = self.browser.get("users?q=nobody")
        assert "Keine Einträge gefunden." in page

    def test_a_user_is_found_by_his_whole_name(self) -> None:
        self.browser.log_in()
        for path in ("users", "administrators/new", "files"):
            for typed in ("%40alice%3Atest", "%40alice", "alice", "+%40alice%3Atest+"):
                page = self.browser.get(f"{path}?q={typed}")
                assert "@alice:test" in page.partition("<tbody>")[2], (path, typed)
            assert "<tbody>" not in self.browser.get(f"{path}?q=%40alice%3Aother.example"), path

    def test_a_page_beyond_the_end_leads_to_the_last_one(self) -> None:
        for number in range(60):
            self.register_user(f"user{number:02}", "pass")
        self.browser.log_in()
        self.browser.get("users?q=user&from=500")
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert self.browser.location.endswith("/users?q=user&from=50")
        assert "Einträge 51 bis 60 von 60" in self.browser.follow()
        assert "Keine Einträge gefunden." in self.browser.get("users?q=nobody&from=50") or (
            "Keine Einträge gefunden." in self.browser.follow()
        )

    def test_files_of_others_are_not_found(self) -> None:
        self.browser.log_in()
        for user_id in ("@x:other.example", "@nobody:test"):
            self.browser.get(f"users/{user_id}/files")
            assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_what_shadow_banned_means_is_said(self) -> None:
        user_id = UserID.from_string(self.alice)
        self.get_success(self.hs.get_datastores().main.set_shadow_banned(user_id, shadow_banned=True))
        self.browser.log_in()
        assert "kommt bei niemandem an" in self.browser.get(f"users/{self.alice}")
        assert "kommt bei niemandem an" not in self.browser.get(f"users/{self.boss}")

    def test_nonsense_in_the_address_is_the_first_page(self) -> None:
        self.browser.log_in()
        for query in ("from=-1", "from=x", "from=1e9", "show=nothing", "q=%ff", "%00=%00", "from=9999999999999999999"):
            self.browser.get(f"users?{query}")
            assert self.browser.status == HTTPStatus.OK, query


class ActivityTestCase(PortalTestCase):
    portal = {"show_activity": True}

    def test_last_seen_is_shown_where_it_is_switched_on(self) -> None:
        self.browser.log_in()
        assert "Zuletzt gesehen" in self.browser.get("users")
