"""scim2-tester, a client by others that checks what the RFCs demand, finds nothing wrong with a real homeserver."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_bum.oidc.scim.resource import PATH
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.scim_homeserver import ScimToken, oidc_providers
from synapse_bum.testing.synapse import RealSynapse

# What Synapse has to do for SCIM is tested on every Synapse by test_scim_workers.py and in process.
pytestmark = [pytest.mark.requires("scim2-tester"), pytest.mark.any_synapse, pytest.mark.long]

DRIVER = Path(__file__).parent / "scim_tester_driver.py"
SETUP = Path(__file__).parent.parent.parent.parent / "scripts" / "setup-scim-tester"
OUR_EXTENSION = "urn:ietf:params:scim:schemas:extension:synapse_bum:2.0:User"
CHANGES_OF_EXTENSIONS = {"check_add_attribute", "check_remove_attribute", "check_replace_attribute"}
"""These take every extension for one that may be changed. Ours holds one attribute, which is read only, and refuses."""

FEWEST_CHECKS = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealSynapse, ScimToken]]:
    token = ScimToken(tmp_path_factory.mktemp("scim"))
    with RealSynapse(modules=[token.module()], config={"oidc_providers": oidc_providers()}) as synapse:
        yield synapse, token


def test_all_checks_of_others_succeed(place: tuple[RealSynapse, ScimToken]) -> None:
    synapse, token = place
    python = subprocess.run([SETUP], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    done = subprocess.run(
        [python, DRIVER, f"{synapse.base_url}{PATH}"],
        input=f"{token.value}\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout)
    wrong = [
        result
        for result in results
        if result["status"] not in {"SUCCESS", "ACCEPTABLE", "SKIPPED"}
        and not (result["title"] in CHANGES_OF_EXTENSIONS and f"read only: {OUR_EXTENSION}" in result["reason"])
    ]
    assert wrong == []
    assert sum(result["status"] == "SUCCESS" for result in results) >= FEWEST_CHECKS


def test_a_token_that_is_too_short_stops_the_start_with_the_option(tmp_path: Path) -> None:
    token = ScimToken(tmp_path)
    token.path.write_text("short", encoding="ascii")
    synapse = RealSynapse(modules=[token.module()], config={"oidc_providers": oidc_providers()})
    with pytest.raises(ServerError, match=r"scim\.token_path"), synapse:
        pass
