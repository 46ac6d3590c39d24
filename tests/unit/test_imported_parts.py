"""What an operator may rely on: a part that no setting turns on takes no memory in any process."""

import json
import subprocess
import sys
from collections.abc import Collection

import pytest

MODULES = ("antivirus", "availability", "federation", "oidc", "portal", "recovery", "retention", "storage")
OPTIONAL = (
    "synapse_bum.federation.list_keeper",
    "synapse_bum.federation.signed_list",
    "synapse_bum.oidc.scim.resource",
    "synapse_bum.oidc.scim.service",
)


@pytest.fixture(scope="module")
def imported() -> Collection[str]:
    """What is there after Synapse has imported all modules."""
    lines = [*(f"import synapse_bum.{name}" for name in MODULES), "import json, sys; print(json.dumps([*sys.modules]))"]
    found = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True)
    names: list[str] = json.loads(found.stdout)
    return names


def test_the_modules_are_there(imported: Collection[str]) -> None:
    assert {f"synapse_bum.{name}.module" for name in MODULES} <= set(imported)


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_a_setting_turns_on_is_not_imported_before(name: str, imported: Collection[str]) -> None:
    assert name not in imported
