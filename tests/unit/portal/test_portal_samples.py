"""What README, the sample and the handbook say of the portal is what the code does."""

import re
from pathlib import Path

import attr
import pytest

from synapse_bum.portal.config import Contact, ContractConfig, MasConfig, PortalConfig
from synapse_bum.portal.files import previews
from synapse_bum.portal.homeserver_api import homeserver_client
from synapse_bum.portal.homeserver_api.steps import REFUSED, UNFINISHED, Action
from synapse_bum.portal.language.texts import Texts, load
from synapse_bum.portal.page_table import PageTable

REPOSITORY = Path(__file__).resolve().parents[3]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
HANDBOOK = (REPOSITORY / "docs" / "portal.md").read_text(encoding="utf-8")
PORTAL = REPOSITORY / "synapse_bum" / "portal"


def readmes_block() -> str:
    found = re.search(r"```yaml\n([^`]*synapse_bum\.portal\.PortalModule[^`]*)```", README)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(("key", "section"), [("mas", MasConfig), ("contract", ContractConfig), ("contacts", Contact)])
def test_readmes_block_names_the_keys_of_what_is_empty_there(key: str, section: type) -> None:
    (named,) = re.findall(rf"^ +{key}: .*?\{{(.*?)\}}", readmes_block(), re.MULTILINE)
    assert [part.partition(":")[0].strip() for part in named.split(",")] == [
        field.name for field in attr.fields(section)
    ]


def test_the_handbook_has_a_line_for_each_page_of_the_menu() -> None:
    texts = Texts(load("de"))
    rows = set(re.findall(r"^\| ([^|]+) \|", HANDBOOK, re.MULTILINE))
    # Creating an account stands in the row of accounts.
    titles = {texts(page.title) for page in PageTable.of_all().menu()} - {
        texts("start.title"),
        texts("account.create.title"),
    }
    assert titles <= rows


def test_documents_name_every_step_that_is_written_down() -> None:
    actions = {action.value for action in Action} | {REFUSED, UNFINISHED}
    assert actions == set(re.findall(r"`(portal\.[a-z_.]+)`", HANDBOOK))
    for action in actions:
        assert f"`{action}`" in API or f"`{action.rpartition('.')[2]}`" in API


def test_the_handbook_quotes_what_pages_say() -> None:
    said = " ".join(str(text) for key, text in load("de").items() if key.startswith(("errors.", "login.")))
    quoted = re.findall(r"„([^“]+)“", HANDBOOK.partition("## Was tun, wenn")[2].partition("## Grenzen")[0])
    own = {"Einrichtung", "braucht", "Verwaltungsportal"}
    assert len(quoted) > 10
    assert [quote for quote in quoted if quote not in own and quote not in said] == []


def test_the_handbook_names_every_path_that_is_asked() -> None:
    sources = [path.read_text(encoding="utf-8") for path in PORTAL.rglob("*.py")]
    asked = {path for source in sources for path in re.findall(r'"(/_(?:matrix|synapse)/[^"{]*)', source)}
    assert homeserver_client.BUM in asked
    assert any(previews.THUMBNAIL.startswith(path) for path in asked)
    listed = re.findall(r"`(/_[^`<]+)`", HANDBOOK.partition("### Was unter `admin_api_url`")[2].partition("###")[0])
    browsers = ("/_matrix/client/v3/login/sso/redirect", "/_synapse/client/bum/portal")
    assert {path for path in asked if not f"{path}/".startswith(tuple(listed)) and path not in browsers} == set()


def test_the_handbook_names_what_an_operator_has_to_set() -> None:
    names = {field.metadata.get("key") or field.name.removesuffix("_ms") for field in attr.fields(PortalConfig)}
    assert {name for name in names if f"`{name}" not in HANDBOOK} <= {"language", "contract", "audit_lifetime"}
