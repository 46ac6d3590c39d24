"""Pages that load themselves anew, and answers that can be had only once."""

from http import HTTPStatus

from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.forms.form import Form
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit
from synapse_bum.testing.portal_case import PortalTestCase

MADE: list[str] = []


async def show(visit: Visit) -> Reply:
    return visit.show(
        "form.html", form=visit.blank(Form("run", ())), paragraphs=("läuft",), button="Los", back=None, refresh_s=3
    )


async def submit(visit: Visit) -> Reply:
    MADE.append(visit.me)
    return visit.show("message.html", paragraphs=("einmal",), link=visit.url(), link_text="x", done=True)


class ProgressTestCase(PortalTestCase):
    more_pages = (Page("run", area=Area.APPLICATION, title="users.title", show=show, submit=submit),)

    def test_it_loads_itself_until_the_reader_stops_it(self) -> None:
        self.browser.log_in()
        self.browser.get("run?x=1")
        assert self.browser.header("Refresh") == f"3; url={PORTAL}/run?x=1&auto=1"
        page = self.browser.get("run?x=1&auto=1")
        assert self.browser.header("Refresh") == f"3; url={PORTAL}/run?x=1&auto=1"
        assert f'href="{PORTAL}/run?x=1&amp;still=1"' in page
        self.browser.get("run?x=1&still=1")
        assert self.browser.header("Refresh") == ""

    def test_an_answer_that_is_shown_once_is_not_made_twice(self) -> None:
        MADE.clear()
        self.browser.log_in()
        fields = {"_form": self.browser.token(self.browser.get("run"))}
        assert "einmal" in self.browser.post("run", fields)
        self.browser.post("run", fields)
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert [self.boss] == MADE
