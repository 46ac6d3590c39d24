"""The German mail with which a new homeserver is handed to the customer. Pure; it holds no secret."""

from importlib import resources
from string import Template
from typing import Final

from synapse_bum.cli.provision.order import Order

PORTAL_PATH: Final = "/_synapse/client/bum/portal/"

_BY_US: Final = """\
Ihr erstes Passwort bekommen Sie auf einem anderen Weg als dieser Mail, am Telefon zum Beispiel. Bitte ändern Sie es
sofort nach der ersten Anmeldung: in der App unter Einstellungen, dann in den Einstellungen Ihres Kontos. Der Server
kann das nicht erzwingen; dass das Passwort von uns vergeben wurde, steht im Protokoll. Bis Sie es ändern, kennen es
zwei: Sie und wir."""

_BY_MAIL: Final = """\
Ihr Passwort setzen Sie selbst, wir kennen keines: Wählen Sie in der App beim Anmelden „Passwort vergessen“ und
geben Sie diese Mailadresse an ($email). Sie bekommen eine Mail mit einem Link. Er gilt eine Stunde; danach fordern Sie
einfach einen neuen an. Erst dann können Sie sich anmelden."""

_BY_IDENTITY_PROVIDER: Final = """\
Sie melden sich mit Ihrem Anmeldedienst an, in der App und im Portal. Ein Passwort von uns gibt es nicht. Wer verwalten
darf, entscheidet die Rolle, die Sie dort vergeben."""


def letter(order: Order) -> str:
    """Write it, with gaps for the names of people."""
    text = (resources.files("synapse_bum.cli.provision") / "uebergabe.txt").read_text(encoding="utf-8")
    number = order.contract_number
    return Template(text).substitute(
        server=order.hosts.server,
        portal=f"https://{order.hosts.portal}{PORTAL_PATH}",
        support=order.support_email,
        recipient=order.admin_email or "<Administratorin oder Administrator des Kunden>",
        sign_in=_sign_in(order),
        begin=f"{order.begin:%d.%m.%Y}",
        contract="" if number is None else f"  Nummer                              {number}\n",
    )


def _sign_in(order: Order) -> str:
    if order.identity_provider is not None:
        return _BY_IDENTITY_PROVIDER
    if order.admin_email is not None:
        return Template(_BY_MAIL).substitute(email=order.admin_email)
    return _BY_US
