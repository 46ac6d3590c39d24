"""The readable form of an export: pages without script that load nothing. Pure."""

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from synapse_bum.cli.export_user import texts
from synapse_bum.cli.export_user.file_names import is_shown_safely
from synapse_bum.cli.export_user.files import FileEntry
from synapse_bum.german import whole

ROWS_SHOWN: Final = 100

_ZONE: Final = ZoneInfo("Europe/Berlin")
_STYLE: Final = (
    "body{font-family:sans-serif;line-height:1.5;max-width:70rem;margin:auto;padding:1rem;color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #767676;padding:.25rem .5rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}.wide{overflow-x:auto}article{border-bottom:1px solid #767676}"
    "pre,.text{white-space:pre-wrap;overflow-wrap:anywhere}"
)
_SECONDS: Final = frozenset({"creation_ts"})
_MOMENTS: Final = frozenset(
    {"last_seen", "validated_at", "added_at", "timestamp", "last_success", "failing_since", "expiration_ts_ms"}
)
_FLAT_LEVELS: Final = 16
_SHOWN_CHARACTERS: Final = 20_000
# Before this, a number is no moment: 2001-09-09.
_FIRST_MS: Final = 1_000_000_000_000


def moment(ts_ms: int) -> str:
    """Write a moment, for example `23.11.2026, 10:15:00 Uhr`.

    What other servers and programs call a time need not be one: a number without a year stays a number.
    """
    try:
        when = datetime.fromtimestamp(ts_ms / 1000, _ZONE)
    except (ValueError, OverflowError, OSError):
        return str(ts_ms)
    return f"{when:%d.%m.}{when.year:04}, {when:%H:%M:%S} Uhr"


def head(title: str) -> str:
    """Begin a page."""
    return (
        '<!DOCTYPE html>\n<html lang="de"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body><main>\n<h1>{_text(title)}</h1>\n"
    )


def foot() -> str:
    """End a page."""
    return "</main></body></html>\n"


def facts(rows: Mapping[str, str]) -> str:
    """Write a few facts, as a list of names and values."""
    return (
        "<dl>" + "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in rows.items()) + "</dl>\n"
    )


def paragraphs(lines: Iterable[str]) -> str:
    """Write a list of sentences."""
    return "<ul>" + "".join(f"<li>{_text(line)}</li>" for line in lines) + "</ul>\n"


def section(title: str, path: str, rows: Sequence[Mapping[str, Any]], count: int) -> str:
    """Write the first rows of one kind of data.

    Args:
        title: heading.
        path: of the file with all of them.
        rows: the first ones.
        count: how many there are in all.
    """
    entries = "Eintrag" if count == 1 else "Einträge"
    more = f" Hier stehen die ersten {whole(len(rows))}." if count > len(rows) else ""
    columns = list(rows[0])
    table = "".join(
        "<tr>" + "".join(f"<td>{_text(_shown(name, row[name]))}</td>" for name in columns) + "</tr>" for row in rows
    )
    header = "".join(f'<th scope="col">{_text(texts.LABELS.get(name, name))}</th>' for name in columns)
    return (
        f"<h2>{_text(title)}</h2>\n<p>{whole(count)} {entries}.{more} Vollständig: {_link(path)}</p>\n"
        f'<div class="wide"><table><thead><tr>{header}</tr></thead><tbody>{table}</tbody></table></div>\n'
    )


def rooms(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write the table of rooms."""
    yield (
        '<h2>Räume und Nachrichten</h2>\n<div class="wide"><table><thead><tr><th scope="col">Raum</th>'
        '<th scope="col">Kennung</th><th scope="col">Mitgliedschaft</th><th scope="col">Nachrichten</th>'
        '<th scope="col">davon verschlüsselt</th><th scope="col">weitere Ereignisse</th></tr></thead><tbody>'
    )
    for row in rows:
        name = row["name"] or row["canonical_alias"] or "ohne Namen"
        place = _link(row["page"], name)
        membership = texts.MEMBERSHIP.get(row["membership"] or "", row["membership"] or "unbekannt")
        numbers = "".join(f"<td>{whole(row[key])}</td>" for key in ("messages", "encrypted_messages", "other_events"))
        yield f"<tr><td>{place}</td><td>{_text(row['room_id'])}</td><td>{_text(membership)}</td>{numbers}</tr>\n"
    yield "</tbody></table></div>\n"


def files(entries: Sequence[FileEntry]) -> Iterator[str]:
    """Write the table of files."""
    yield (
        '<h2>Hochgeladene Dateien</h2>\n<div class="wide"><table><thead><tr><th scope="col">Datei</th>'
        '<th scope="col">Adresse</th><th scope="col">Bytes</th><th scope="col">hochgeladen</th>'
        '<th scope="col">Zustand</th></tr></thead><tbody>'
    )
    for entry in entries:
        given = entry.source.upload_name or ""
        # A character that nobody sees may turn the direction of writing, and hide what kind of file it is.
        name = given if given and given.isprintable() else entry.name
        place = _text(name) if entry.file is None or not is_shown_safely(entry.name) else _link(entry.file, name)
        size = "" if entry.source.size_bytes is None else whole(entry.source.size_bytes)
        yield (
            f'<tr id="f{entry.number}"><td>{place}</td><td>{_text(entry.mxc)}</td><td>{size}</td>'
            f"<td>{_text(moment(entry.source.created_ts))}</td><td>{_text(texts.STATUS[entry.status])}</td></tr>\n"
        )
    yield "</tbody></table></div>\n"


def event(content: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    """Write one event of a room.

    Args:
        content: as `personal_events.events_of` gives it.
        numbers: of files, by their addresses.
    """
    when = content.get("origin_server_ts")
    time = moment(when) if isinstance(when, int) else "ohne Zeit"
    deleted = " (gelöscht)" if "redacted_by" in content else ""
    return f"<article><p><strong>{_text(time)}</strong>{deleted}</p>{_body(content, numbers)}</article>\n"


def _body(event_: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    if "unreadable" in event_:
        return f"<p>{_text(texts.UNREADABLE)}</p><pre>{_text(_cut(str(event_['unreadable'])))}</pre>"
    kind, content = event_.get("type"), event_.get("content")
    if kind == "m.room.encrypted":
        return f"<p>{_text(texts.ENCRYPTED_MESSAGE)}</p>"
    if kind == "m.room.message" and isinstance(content, dict) and isinstance(content.get("body"), str):
        number = numbers.get(str(content.get("url")))
        file = "" if number is None else f'<p><a href="../index.html#f{number}">Datei {number}</a></p>'
        return f'<p class="text">{_text(content["body"])}</p>{file}'
    return f"<details><summary>{_text(str(kind))}</summary><pre>{_text(_pretty(content))}</pre></details>"


def _pretty(content: Any) -> str:  # noqa: ANN401 - any JSON value
    # Each level is moved further to the right: what is deep would become many times as long.
    return _cut(json.dumps(content, ensure_ascii=False, indent=2 if _is_flat(content) else None))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}{texts.CUT}"


def _is_flat(content: Any) -> bool:  # noqa: ANN401 - any JSON value
    level = [content]
    for _ in range(_FLAT_LEVELS):
        inner: list[Any] = []
        for each in level:
            inner += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        level = inner
    return not level


def _shown(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        if name in _SECONDS:
            return moment(value * 1000)
        if (name in _MOMENTS or name == "ts" or name.endswith(("_ts", "_ms"))) and value >= _FIRST_MS:
            return moment(value)
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _link(path: str, text: str | None = None) -> str:
    return f'<a href="{_text(path)}">{_text(text or path)}</a>'


def _text(text: str) -> str:
    return html.escape(text, quote=True)
