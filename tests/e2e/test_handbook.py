"""The commands of docs/handbuch.md in their order, as an operator types them, on a homeserver with all modules.

What is put in is what the page has operators put in: addresses, names and numbers of their own server.
"""

import datetime as dt
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware, outside_view
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.documented_commands import block_commands, code_lines
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.scanned_homeserver import wait_until
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.any_synapse, pytest.mark.requires("clamd", "curl")]

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "handbuch.md").read_text(encoding="utf-8")
ADDRESSES = ("https://admin.messenger.example", "https://matrix.messenger.example", "http://127.0.0.1:8008")
CONFIG = "/etc/matrix-synapse/homeserver.yaml"
PASSWORD = "correct horse battery staple"
PROGRAMS = ("curl", "synapse-bum", "register_new_matrix_user", "psql")
HAS_ITS_OWN_TESTS = "synapse-bum backup"
"""tests/e2e/backup: a repository, a restore and its proof take longer than all that is here."""

NUMBERS: Final[Mapping[str, str]] = {
    "antivirus/rescan": "PRUEFLAUF_ID",
    "storage/orphans": "SUCHE_ID",
    "retention/runs": "LAUF_ID",
    "storage/recount": "ZAEHLUNG_ID",
}
"""Which word stands for the number that a route has answered last."""


def section(title: str) -> str:
    """What stands below a headline."""
    _, found, after = PAGE.partition(f"{title}\n")
    assert found, title
    level = title.partition(" ")[0]
    return re.split(rf"^#{{2,{len(level)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


HOW_TO_ASK = section("## Anfragen an die Schnittstelle")
TITLES = re.findall(r"^### \.\.\. .*$", section("## Was tun, wenn ..."), re.MULTILINE)


class Operator:
    """Somebody with the handbook, a shell and a homeserver."""

    def __init__(self, synapse: RealSynapse) -> None:
        self.synapse = synapse
        self.words: dict[str, str] = {
            CONFIG: str(synapse.directory / "homeserver.yaml"),
            "SIGNATUR": "Eicar-Test-Signature.UNOFFICIAL",
        }
        now_ms = int(time.time() * 1000)
        self.words |= {"1795410000000": str(now_ms - 3_600_000), "1795411800000": str(now_ms - 1_800_000)}
        month = dt.datetime.now(tz=dt.timezone.utc).strftime("%Y-%m")
        self.words |= {"month=2026-02": f"month={month}", "month=2026-11": f"month={month}"}
        self.token = ""
        self._said: set[str] = set()  # by the command line, which takes seconds and says the same once more

    def put_in(self, text: str) -> str:
        for word, value in {**dict.fromkeys(ADDRESSES, self.synapse.base_url), **self.words}.items():
            text = text.replace(word, value)
        return text

    def type(self, command: str) -> str:
        """Run one command; what it prints."""
        line = self.put_in(command)
        if line.startswith("psql -c "):
            return self._ask_the_database(shlex.split(line)[2])
        if line.startswith("register_new_matrix_user"):
            line = f"{Path(sys.executable).parent}/{line} -p {shlex.quote(PASSWORD)}"
        line = re.sub(r"^synapse-bum", f"{sys.executable} -m synapse_bum", line)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= {"BUM": f"{self.synapse.base_url}{BASE}", "TOKEN": self.token}
        done = subprocess.run(
            ["/bin/bash", "-c", line],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=self.synapse.directory,
        )
        # What `check` says of this machine and this small configuration is no matter of the handbook.
        statuses = {0, 1} if " check " in line else {0}
        assert done.returncode in statuses, (line, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout

    def _ask_the_database(self, statement: str) -> str:
        return str(outside_view.rows(self.synapse.directory / "homeserver.db", statement))

    def follow(self, text: str) -> list[Any]:
        """Type the commands of a part of the page; what those that ask the API were answered."""
        answers = []
        for command in block_commands(text, PROGRAMS):
            if command.startswith(HAS_ITS_OWN_TESTS) or command in self._said:
                continue
            if command.startswith("synapse-bum"):
                self._said.add(command)
            printed = self.type(command)
            if command.startswith("curl") and "format=text" not in command:
                answer = json.loads(printed)
                assert "errcode" not in answer, (command, answer)
                for route, word in NUMBERS.items():
                    if "run_id" in answer and f"$BUM/{route}" in command:
                        self.words[word] = answer["run_id"]
                answers.append(answer)
        return answers


def media_id(client: MatrixClient, content: bytes) -> str:
    answer = client.upload(content)
    assert answer.status == HTTPStatus.OK, answer.body
    return str(answer.json["content_uri"]).rpartition("/")[2]


def modules(clamd: RealClamd, folder: Path, url: str) -> Iterator[Mapping[str, Any]]:
    configs: Mapping[str, Mapping[str, Any]] = {
        "antivirus.AntivirusModule": {
            "scanner": {"address": clamd.address_unix},
            "on_infected_upload": "block",
            "require_scan": True,
        },
        "retention.RetentionModule": {
            "messages": {"lifetime": "1y"},
            "local_media": {"lifetime": "90d"},
            "remote_media": {"lifetime": "14d"},
            "deletion_log_path": str(folder / "deletions.jsonl"),
        },
        "storage.StorageModule": {},
        "federation.FederationModule": {"removal": {"wait": "1s"}},
        "oidc.OidcModule": {},
        "availability.AvailabilityModule": {},
        "recovery.RecoveryModule": {"log_path": str(folder / "recovery.log")},
        "portal.PortalModule": {"hosts": ["admin.messenger.example"], "admin_api_url": url},
    }
    yield from ({"module": f"synapse_bum.{name}", "config": config} for name, config in configs.items())


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("records")
    synapse = RealSynapse(
        config={"federation_domain_whitelist": [], "background_updates": {"sleep_enabled": False}},
        listeners=[["client", "media"]],
    )
    log = synapse.directory / "log.yaml"
    logging = json.loads(log.read_text())
    # As config-samples/log.yaml has the lines of the audit written.
    logging["formatters"]["json"] = {"class": "synapse.logging.TerseJsonFormatter"}
    audit_log = {"class": "logging.FileHandler", "filename": str(synapse.directory / "synapse_bum-audit.jsonl")}
    logging["handlers"]["audit"] = {**audit_log, "formatter": "json", "filters": ["context"]}
    logging["loggers"] = {"synapse_bum.audit": {"level": "INFO", "handlers": ["audit"]}}
    log.write_text(json.dumps(logging))
    with RealClamd() as clamd:
        synapse.config["modules"] = list(modules(clamd, folder, synapse.base_url))
        with synapse:
            yield Operator(synapse)


@pytest.fixture(scope="module")
def alice(operator: Operator) -> MatrixClient:
    """Whose files the handbook is about; the server is as it is when something has happened."""
    synapse = operator.synapse
    betrieb = synapse.register("betrieb", admin=True, password=PASSWORD)
    for name in ("erika.muster", "leitung"):
        synapse.register(name)
    wait_until(lambda: betrieb.get(f"{BASE}/antivirus/status").json["scanner_ok"], 120)
    alice = synapse.register("alice")
    operator.words |= {
        "VIRUS_ID": media_id(alice, malware.eicar_at_end(2000, seed=1)),
        "MEDIEN_ID": media_id(alice, malware.eicar_at_end(2000, seed=2)),
        "DATEI_ID": media_id(alice, malware.png(30, 30)),
        "GEHALTEN_ID": media_id(alice, encrypted(malware.png(20, 20)).ciphertext),
    }
    for name in ("messenger.amt-a.example", "messenger.amt-b.example"):
        assert betrieb.put(f"{BASE}/federation/partners/{name}", {"reason": "Vereinbarung"}).status == HTTPStatus.OK
    wait_until(lambda: betrieb.get(f"{BASE}/storage/usage").json["users"] is not None, 120)
    wait_until(lambda: operator.words["VIRUS_ID"] in str(betrieb.get(f"{BASE}/antivirus/findings").json), 60)
    return alice


def downloaded(client: MatrixClient, operator: Operator, word: str) -> HTTPStatus:
    return HTTPStatus(client.download(f"mxc://messenger.example/{operator.words[word]}").status)


@pytest.fixture(scope="module")
def answers(operator: Operator, alice: MatrixClient) -> Mapping[str, list[Any]]:
    """Of the API, to all commands of "Was tun, wenn ...", in the order of the page; by the end of the headline."""
    assert alice.user_id
    (credentials,) = [line for line in code_lines(HOW_TO_ASK) if line.startswith('{"type": "m.login.password"')]
    (operator.synapse.directory / "anmeldung.json").write_text(credentials.replace('"..."', json.dumps(PASSWORD)))
    log_in, _log_out = block_commands(HOW_TO_ASK, PROGRAMS)
    operator.token = json.loads(operator.type(log_in))["access_token"]
    return {title.removeprefix("### ... "): operator.follow(section(title)) for title in TITLES}


Answers = Mapping[str, list[Any]]


def test_the_scanner_is_looked_after(answers: Answers) -> None:
    (status,) = answers["der Scanner nicht antwortet"]
    assert status["engine"] == "clamd"
    assert status["totals"]["infected"] == 2


def test_a_virus_is_deleted_for_everybody(answers: Answers, operator: Operator, alice: MatrixClient) -> None:
    findings, deleted = answers["ein Virus gefunden wurde"]
    assert {one["state"] for one in findings["findings"]} == {"blocked"}
    assert deleted == {}
    assert downloaded(alice, operator, "VIRUS_ID") == HTTPStatus.NOT_FOUND


def test_a_false_alarm_is_released(answers: Answers, operator: Operator, alice: MatrixClient) -> None:
    found, released, by_signature = answers["ein Fehlalarm gemeldet wird"]
    assert [found["state"], released["state"]] == ["blocked", "released"]
    assert "released" in by_signature
    assert downloaded(alice, operator, "MEDIEN_ID") == HTTPStatus.OK


def test_what_is_held_is_let_go(answers: Answers, operator: Operator, alice: MatrixClient) -> None:
    scan, held, let_go, deletions = answers["eine Datei nicht abrufbar ist"]
    assert scan["scan_state"] == "clean"
    assert [one["mxc"] for one in held["held"]] == [let_go["mxc"]]
    assert downloaded(alice, operator, "GEHALTEN_ID") == HTTPStatus.OK
    assert operator.words["VIRUS_ID"] in str(deletions)


def test_a_file_that_can_not_be_scanned_is_deleted(answers: Answers, operator: Operator, alice: MatrixClient) -> None:
    _status, deleted, _queued, run = answers["ungeprüfte Dateien sich stauen"]
    assert deleted["deleted_media"] == [operator.words["DATEI_ID"]]
    assert run["run_id"] == operator.words["PRUEFLAUF_ID"]
    assert downloaded(alice, operator, "DATEI_ID") == HTTPStatus.NOT_FOUND


def test_partners_are_removed_and_prolonged(answers: Answers) -> None:
    impact, removed, check, outsiders = answers["ein Partner entfernt werden muss"]
    assert impact["rooms"] == outsiders["total"] == 0
    assert removed == {}
    assert not check["allowed"]
    check, partner = answers["ein Partner nicht mehr erreichbar ist"]
    assert check["allowed"]
    assert partner["valid_until_ts"]


def test_what_fills_the_disk_is_found(answers: Answers, alice: MatrixClient) -> None:
    usage, users, retention, queued, look = answers["die Platte voll ist"]
    assert usage["as_of_ts"]
    assert {one["user_id"] for one in users["users"]} <= {alice.user_id}
    assert retention.keys() == {"messages", "local_media", "remote_media"}
    assert look["run_id"] == queued["run_id"]
    assert look["dry_run"]


def test_a_deletion_is_confirmed_after_a_dry_run_and_a_hold(answers: Answers) -> None:
    runs, queued, run, hold, holds, confirmed, lifted = answers["das Löschen auf eine Bestätigung wartet"]
    assert "runs" in runs
    assert run["run_id"] == queued["run_id"] != confirmed["run_id"]
    assert run["dry_run"]
    assert holds["holds"] == [hold]
    assert lifted == {}


def test_an_invoice_is_calculated_again(answers: Answers) -> None:
    history, queued, recount = answers["eine Rechnung angezweifelt wird"]
    assert "history" in history
    assert recount["run_id"] == queued["run_id"]


def test_administrators_come_back_and_the_way_in_is_closed(answers: Answers, operator: Operator) -> None:
    assert answers["niemand mehr administrieren kann"]
    administrators = "SELECT name FROM users WHERE admin = 1 AND deactivated = 0 ORDER BY name"
    rows = outside_view.rows(operator.synapse.directory / "homeserver.db", administrators)
    assert rows == [("@betrieb:messenger.example",), ("@leitung:messenger.example",)]
    notfall = "SELECT deactivated FROM users WHERE name = '@notfall:messenger.example'"
    assert outside_view.rows(operator.synapse.directory / "homeserver.db", notfall) == [(1,)]


def test_outages_are_entered_and_the_audit_is_read(answers: Answers) -> None:
    (outage,) = answers["es einen Ausfall gab"]
    assert outage["ticket"] == "INC-4711"
    (rows,) = answers["das Protokoll nicht stimmt"]
    done = {row["action"] for row in rows["audit"]}
    assert {"antivirus.released", "federation.removed", "retention.hold.set", "availability.entered"} <= done


def test_whoever_logs_out_is_out(answers: Answers, operator: Operator) -> None:
    assert answers
    _log_in, log_out = block_commands(HOW_TO_ASK, PROGRAMS)
    assert json.loads(operator.type(log_out)) == {}
    refused = json.loads(operator.type('curl -s -H "Authorization: Bearer $TOKEN" "$BUM/audit"'))
    assert refused["errcode"] == "M_UNKNOWN_TOKEN"
