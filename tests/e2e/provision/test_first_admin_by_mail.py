"""The first administrator sets his password himself, by the mail that Synapse sends: nobody else ever knows it."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from synapse_bum.cli import main
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.fake_mailbox import FakeMailbox
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.provisioned import ProvisionedHomeserver, free_ports

pytestmark = [pytest.mark.requires("clamd"), pytest.mark.any_synapse]

SERVER = "messenger.amt.example"
MAIL = "anna@amt.example"
CHOSEN = "von Anna selbst gewählt"


def test_a_password_is_set_by_mail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "messenger"
    with RealClamd() as clamd, FakeMailbox() as mailbox:
        options = ["--server-name", SERVER, "--out", str(folder), "--support-email", "hilfe@betrieb.example"]
        options += ["--port", str(free_ports(3)), "--scanner", clamd.address_unix]
        assert main(["provision", *options, "--smtp", f"127.0.0.1:{mailbox.port}", "--admin-email", MAIL]) == 0
        with ProvisionedHomeserver(folder) as homeserver:
            config = str(folder / "homeserver.yaml")
            capsys.readouterr()
            assert main(["provision", "--first-admin", "anna", "--email", MAIL, "-c", config]) == 0
            said = capsys.readouterr()
            assert f"@anna:{SERVER} is administrator" in said.out
            assert "Password, shown only now" not in said.out
            assert said.err == ""
            client = HttpClient(homeserver.main.base_url)
            proof = confirmed_by_mail(client, mailbox)
            auth = {"type": "m.login.email.identity", "threepid_creds": proof}
            changed = client.post("/_matrix/client/v3/account/password", {"new_password": CHOSEN, "auth": auth})
            assert changed.status == 200, changed.body
            user = {"type": "m.id.user", "user": "anna"}
            login = {"type": "m.login.password", "identifier": user, "password": CHOSEN}
            answer = client.post("/_matrix/client/v3/login", login)
            assert answer.status == 200, answer.body
            anna = HttpClient(homeserver.main.base_url, answer.json["access_token"])
            assert len(anna.get("/_matrix/client/v3/devices").json["devices"]) == 1
            headers = {"Host": f"admin.{SERVER}"}
            audit = anna.request("GET", "/_synapse/client/bum/v1/audit", headers=headers).json["audit"]
            (row,) = [one for one in audit if one["action"] == "provision.first_admin"]
            assert row["new"]["password"] == "known to nobody; its owner sets one by mail"


def confirmed_by_mail(client: HttpClient, mailbox: FakeMailbox) -> dict[str, str]:
    """What the app does on `forgotten password`, and a click on the link in the mail and on the button behind it."""
    asked = client.post(
        "/_matrix/client/v3/account/password/email/requestToken",
        {"client_secret": "a-secret-of-the-app", "email": MAIL, "send_attempt": 1},
    )
    assert asked.status == 200, asked.body
    mail = mailbox.next()
    assert mail["To"] == MAIL
    assert mail["From"] == f"Messenger <noreply@{SERVER}>"
    text = mail.get_body(("plain",))
    assert text is not None
    found = re.search(rf"https://matrix\.{SERVER}(/_synapse/client/\S+)", text.get_content())
    assert found is not None
    link = urlsplit(found[1])
    form = urlencode({name: values[0] for name, values in parse_qs(link.query).items()})
    confirmed = client.request(
        "POST", link.path, body=form.encode(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert confirmed.status == 200, confirmed.body
    return {"sid": asked.json["sid"], "client_secret": "a-secret-of-the-app"}
