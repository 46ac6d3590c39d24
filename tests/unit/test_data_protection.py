"""What docs/datenschutz.md says is complete: every table of ours with its lifetime, every role, no promise too many."""

import re
from pathlib import Path

import pytest

from synapse_bum.antivirus import AntivirusModule
from synapse_bum.antivirus.content_scanner import key_verdicts
from synapse_bum.antivirus.forgetting import duty, purposes
from synapse_bum.availability import AvailabilityModule
from synapse_bum.deletion import keeping
from synapse_bum.oidc import localparts
from synapse_bum.oidc.scim import deactivation
from synapse_bum.recovery import deleted_files
from synapse_bum.testing.own_tables import own_tables

pytestmark = pytest.mark.any_synapse

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE = (DOCS / "datenschutz.md").read_text(encoding="utf-8")
TEMPLATES = (DOCS / "datenschutz-vorlagen.md").read_text(encoding="utf-8")
GRUNDSCHUTZ = (DOCS / "it-grundschutz.md").read_text(encoding="utf-8")
COLUMNS = ["Tabelle", "was und wozu", "Personenbezug", "wie lange", "wer es sieht"]
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

REQUIREMENTS = {
    "OPS.1.1.4 Schutz vor Schadprogrammen": [1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 14],
    "OPS.1.1.5 Protokollierung": [1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13],
    "CON.3 Datensicherungskonzept": [1, 2, 4, 5, 6, 7, 9, 12, 13, 14, 15],
}
"""The requirements of edition 2023 that have not been dropped."""


def rows(text: str) -> list[list[str]]:
    """Every row of the page's tables, cell by cell."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")] for line in lines]


def described() -> dict[str, list[str]]:
    """What the page says of each table of ours."""
    found: dict[str, list[str]] = {}
    for row in rows(PAGE):
        for name in re.findall(r"`(synapse_bum_\w+)`", row[0]):
            assert name not in found, f"{name} stands there twice"
            found[name] = row
    return found


def lifetime(table: str) -> str:
    return described()[f"synapse_bum_{table}"][3]


def test_every_table_of_ours_is_described_and_no_other() -> None:
    assert set(described()) == own_tables()


def test_each_table_says_what_why_how_long_and_who_sees_it() -> None:
    assert rows(PAGE).count(COLUMNS) >= 7
    for name, row in described().items():
        assert len(row) == len(COLUMNS), name
        assert all(row), name


def test_the_lifetimes_are_those_of_the_code() -> None:
    assert lifetime("deletions").startswith(f"{keeping.LIFETIME_MS // DAY_MS} Tage")
    assert lifetime("retention_purges") == f"{keeping.LIFETIME_MS // DAY_MS} Tage"
    assert lifetime("recovery_deleted_files") == f"{deleted_files.KEPT_MS // DAY_MS} Tage"
    assert lifetime("antivirus_key_verdicts").startswith(f"{key_verdicts.LIFETIME_MS // DAY_MS} Tage")
    assert key_verdicts.UNVERSIONED_LIFETIME_MS == HOUR_MS
    for table in ("antivirus_findings", "antivirus_exemptions"):
        assert f": {purposes.EVIDENCE_MS // DAY_MS} Tage nach" in lifetime(table)
    assert purposes.SETTLED_MS == DAY_MS
    assert duty.INTERVAL_MS == HOUR_MS
    for table in ("verdicts", "key_verdicts", "held", "links", "redactions_deferred"):
        assert "eine Stunde nach dem Löschen" in lifetime(f"antivirus_{table}")
    assert localparts.RESERVED_MS == HOUR_MS
    assert f"{deactivation.KEPT_MS // DAY_MS} Tage" in lifetime("oidc_scim_users")
    probes = AvailabilityModule.parse_config({}).probe_results_lifetime
    assert f"{probes.nominal_ms // DAY_MS} Tage" in lifetime("availability_probes")
    assert AntivirusModule.parse_config({}).audit_lifetime.years == int(lifetime("audit").split()[-2])


@pytest.mark.parametrize("page", ["datenschutz.md", "datenschutz-vorlagen.md", "it-grundschutz.md", "handbuch.md"])
def test_nothing_is_promised_for_classified_information(page: str) -> None:
    text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
    sentences = [
        sentence for sentence in re.split(r"(?<=[.:]) ", text) if re.search("VS-NfD|Verschlusssache", sentence)
    ]
    assert all(re.search(r"\b(keine|nicht)\b", sentence) for sentence in sentences)
    assert page != "datenschutz.md" or any("nicht zugelassen" in sentence for sentence in sentences)


def test_the_templates_have_all_that_the_articles_ask_for() -> None:
    for article in ("Art. 30", "Art. 32", "Art. 35"):
        assert f"({article} DSGVO)" in TEMPLATES
    of_records = ("Verantwortlicher", "Zwecke", "Betroffene", "Datenarten", "Empfänger", "Drittland", "Löschfristen")
    for word in (*of_records, "Maßnahmen", "Notwendigkeit und Verhältnismäßigkeit", "### 3.3 Risiken", "Restrisiko"):
        assert word in TEMPLATES
    assert TEMPLATES.count("\u2039") == TEMPLATES.count("\u203a") > 50  # what the customer fills in


@pytest.mark.parametrize("module", REQUIREMENTS)
def test_every_requirement_of_the_it_grundschutz_says_what_stays_with_the_operator(module: str) -> None:
    _, _, after = GRUNDSCHUTZ.partition(f"\n## {module}\n")
    section = after.partition("\n## ")[0]
    found = [row for row in rows(section) if re.match(r"A\d", row[0])]
    numbers = sorted(int(re.findall(r"\d+", row[0])[0]) for row in found)
    assert numbers == REQUIREMENTS[module]
    assert all(len(row) == 5 and row[2] in {"ja", "teils", "nein"} and row[4] for row in found)
