"""The words of an export that a person reads, in German. Pure."""

from collections.abc import Mapping
from typing import Final

STATUS: Final[Mapping[str, str]] = {
    "copied": "liegt bei",
    "blocked": "gesperrt (Virenfund oder Sperre durch die Administration); nicht beigelegt",
    "held": "bis zu einer Virenprüfung zurückgehalten; nicht beigelegt",
    "being_deleted": "wird gerade gelöscht; nicht beigelegt",
    "not_uploaded": "angekündigt, aber nie hochgeladen",
    "missing": "auf dem Server nicht mehr vorhanden",
    "damaged": "auf dem Server beschädigt; nicht beigelegt",
    "unreadable": "konnte nicht gelesen werden; nicht beigelegt",
    "elsewhere": "liegt bei einem Speicheranbieter, den dieses Werkzeug nicht lesen kann; nicht beigelegt",
    "withdrawn": "während der Zusammenstellung gesperrt oder gelöscht; nicht beigelegt",
}

MEMBERSHIP: Final[Mapping[str, str]] = {
    "join": "Mitglied",
    "invite": "eingeladen",
    "leave": "verlassen",
    "ban": "ausgeschlossen",
    "knock": "angefragt",
}

LABELS: Final[Mapping[str, str]] = {
    "name": "Name",
    "creation_ts": "angelegt",
    "admin": "Administrator",
    "deactivated": "deaktiviert",
    "locked": "gesperrt",
    "suspended": "ausgesetzt",
    "is_guest": "Gast",
    "displayname": "Anzeigename",
    "display_name": "Anzeigename",
    "avatar_url": "Bild",
    "medium": "Art",
    "address": "Adresse",
    "validated_at": "bestätigt",
    "added_at": "hinzugefügt",
    "device_id": "Gerät",
    "last_seen": "zuletzt gesehen",
    "ip": "IP-Adresse",
    "user_agent": "Programm",
    "user_id": "Nutzer",
    "room_id": "Raum",
    "event_id": "Nachricht",
    "membership": "Mitgliedschaft",
    "sender": "durch",
    "content": "Inhalt",
    "account_data_type": "Art",
    "auth_provider": "Identitätsprovider",
    "external_id": "Kennung dort",
    "reason": "Grund",
    "target": "Gegenstand",
    "action": "Vorgang",
    "actor": "durch",
    "old": "vorher",
    "new": "nachher",
    "hash": "Prüfsumme",
    "ts": "Zeit",
    "state": "Zustand",
    "media_id": "Datei",
    "signature": "Signatur",
    "found_ts": "gefunden",
    "created_ts": "angelegt",
    "created_by": "durch",
    "until_ts": "bis",
    "from_ts": "von",
    "received_ts": "eingegangen",
    "receipt_type": "Art",
    "text": "Text",
    "answer": "Antwort",
    "contact": "Ansprechpartner",
    "email": "E-Mail",
    "files": "Dateien",
    "file_bytes": "Bytes",
    "timestamp": "Zeit",
}
"""What columns are called; those that are missing here keep their names."""

ENCRYPTED_MESSAGE: Final = "Verschlüsselte Nachricht: Der Server kennt nur den Geheimtext."

UNREADABLE: Final = "Dieses Ereignis ist nicht lesbar aufgebaut; es folgt so, wie es gespeichert ist."

WHY_ENCRYPTED: Final = (
    "Nachrichten und Dateien in verschlüsselten Räumen werden auf den Geräten der Beteiligten verschlüsselt. Der Server"
    " hat die Schlüssel nicht; er kann nur den Geheimtext herausgeben. Lesbar sind sie in der eigenen Anwendung, die"
    " sie dort auch exportieren kann."
)

NOT_INCLUDED: Final = (
    (
        "Nachrichten anderer Personen: Sie sind deren Daten (Art. 15 Abs. 4 DSGVO). In der eigenen Anwendung bleiben"
        " sie lesbar."
    ),
    (
        "Dateien, die andere hochgeladen haben, hier oder auf anderen Servern, auch wenn Sie sie weitergeleitet haben:"
        " Ihre Nachricht mit der Adresse ist enthalten."
    ),
    "Namen anderer Personen in Protokollen, und wer etwas gemeldet hat.",
    "Passwörter (gespeichert ist nur ein Prüfwert), Zugangsschlüssel und andere Geheimnisse.",
    "Schlüssel für verschlüsselte Nachrichten: Sie sind selbst verschlüsselt und nur in der eigenen Anwendung nutzbar.",
    "Was aus den hier enthaltenen Daten nur berechnet ist, etwa Suchverzeichnisse und Zähler.",
    "Protokolldateien des Servers und Datensicherungen: Sie werden nach Ablauf ihrer Frist gelöscht.",
    (
        "Das Lösch- und das Wiederherstellungsprotokoll: Kennungen und Zeiten von Löschungen, Sperren und beendeten"
        " Sitzungen, keine Inhalte. Sie sorgen dafür, dass Gelöschtes und Gesperrtes auch nach dem Zurückspielen einer"
        " Datensicherung gelöscht und gesperrt bleibt, und haben keine eigene Frist: Sie bleiben mindestens so lange"
        " wie die älteste Datensicherung und höchstens, solange es diesen Server gibt."
    ),
)

CUT: Final = " … (gekürzt; vollständig in der JSON-Datei daneben)"
"""After what is too long for a page."""

READ_ME: Final = """\
Auskunft über gespeicherte Daten (Art. 15 und 20 DSGVO)
========================================================

Person:           {user_id}
Server:           {server_name}
Zusammengestellt: {moment}

index.html        alles Wesentliche zum Lesen, ohne Internet und ohne Programme in der Seite
data/             dieselben Daten vollständig und maschinenlesbar (JSON), eine Datei je Art
rooms/            eigene Nachrichten, je Raum als JSON und zum Lesen als HTML
files/            hochgeladene Dateien; files/index.csv nennt zu jeder die Matrix-Adresse (mxc) und ihren Zustand
manifest.json     alle Dateien dieser Auskunft mit Größe und Prüfsumme (SHA-256)

Zeiten in JSON und CSV sind Millisekunden seit dem 1. Januar 1970 (UTC), "creation_ts" in data/account.json Sekunden.
Eine Nachricht mit "redacted_by" wurde gelöscht; ihr Inhalt verschwindet einige Tage danach auch vom Server.

Verschlüsselte Nachrichten
--------------------------
{why_encrypted}

Nicht enthalten
---------------
{not_included}

Dateien liegen so bei, wie sie hochgeladen wurden. Öffnen Sie nur, was Sie kennen. Was ein Browser wie ein Programm
ausführen würde (HTML, SVG und Ähnliches), trägt zusätzlich die Endung .txt.
"""
