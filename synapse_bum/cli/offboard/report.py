"""The report of an erasing: signed, so that an auditor can check it when the server has long gone. Pure but for keys.

The server's signing key (Ed25519) vouches for a key of the report before anything is erased; that key signs the report
when everything is, the server's key too, and is thrown away then. What was ordered, by whom and when, is part of what
the server has vouched for. Whoever knows the server's public key (it was shown
at `/_matrix/key/v2/server`, and at the closing) can tell that nobody else has made the report.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import Erasure, Journal
from synapse_bum.cli.offboard.rules import shown_time

FORMAT: Final = "synapse_bum offboard report 1"
_PURPOSE: Final = "synapse_bum offboard report key 1"


def server_key_in(text: str) -> tuple[str, Ed25519PrivateKey]:
    """Read the first key of a signing key file (package `signedjson`).

    Args:
        text: of the file: algorithm, version and Base64 of 32 bytes in each line.

    Returns:
        Its id, `ed25519:version`, and the key.

    Raises:
        OffboardError: it holds none.
    """
    try:
        algorithm, version, seed = next(filter(None, map(str.strip, text.splitlines()))).split()
        if algorithm != "ed25519":
            raise ValueError(algorithm)
        return f"{algorithm}:{version}", _private(seed)
    except (StopIteration, ValueError):
        raise OffboardError(
            "the server's signing key can't be read, and without it nobody can check the report"
        ) from None


def new_seed() -> str:
    """A new key for a report, private, in Base64."""
    key = Ed25519PrivateKey.generate()
    return _encoded(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))


def public_of(key: Ed25519PrivateKey) -> str:
    """The public key in Base64 without padding."""
    return _encoded(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def certify(server_key: tuple[str, Ed25519PrivateKey], journal: Journal, by: str, begun_ts: int, seed: str) -> str:
    """Have the server vouch for an order, and for the key of its report.

    Args:
        server_key: id and key of the server.
        journal: of the closing.
        by: who has ordered the erasing.
        begun_ts: when, ms since the epoch.
        seed: of the key of the report.
    """
    vouched = _vouched(server_key[0], _order(journal, by, begun_ts), public_of(_private(seed)))
    return _encoded(server_key[1].sign(vouched))


def refuse_changed_order(journal: Journal, erasure: Erasure) -> None:
    """Demand that the journal still says what the server has vouched for.

    Raises:
        OffboardError: somebody has changed it since the erasing began.
    """
    if erasure.report_seed is None:
        return
    key_id, public_key = erasure.server_key
    order = _order(journal, erasure.by, erasure.begun_ts)
    try:
        vouched = _vouched(key_id, order, public_of(_private(erasure.report_seed)))
        _public(public_key).verify(_decoded(erasure.certificate), vouched)
    except (InvalidSignature, ValueError):
        raise OffboardError(
            "the journal is not as it was when the erasing began: who closed and who erases the server, when, or a key"
            " of the report was changed. Put it back: without that no report can be made"
        ) from None


def content_of(journal: Journal, erasure: Erasure, software: str) -> dict[str, Any]:
    """What a report says.

    Args:
        journal: of the closing.
        erasure: with all steps done.
        software: that has done it.
    """
    order = _order(journal, erasure.by, erasure.begun_ts)
    return {
        **order,
        "erased": {**order["erased"], "finished_ts": max(step.done_ts or 0 for step in erasure.steps)},
        "data_return": erasure.data_return,
        "backups": erasure.backups,
        "steps": [
            {"kind": step.kind, "what": step.what, "counted": step.counted, "done_ts": step.done_ts}
            for step in erasure.steps
        ],
        "left": list(erasure.left),
        "out_of_sight": list(erasure.out_of_sight),
        "software": software,
    }


def signed(content: Mapping[str, Any], seed: str, server_key: tuple[str, str], certificate: str) -> str:
    """Sign a report.

    Args:
        content: as `content_of` has made it.
        seed: of its key.
        server_key: id and public key of the server.
        certificate: as `certify` made it.

    Returns:
        The text of the file.
    """
    key = _private(seed)
    document = {
        "format": FORMAT,
        "report": dict(content),
        "server_key": {"key_id": server_key[0], "public_key": server_key[1]},
        "report_key": {"public_key": public_of(key), "certificate": certificate},
        "signature": _encoded(key.sign(_canonical(content))),
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def checked(text: str, public_key: str | None) -> dict[str, Any]:
    """Check a report.

    Args:
        text: of the file.
        public_key: the server's, in Base64, as the auditor knows it; None to take that of the file.

    Returns:
        The document; what it says is what was signed.

    Raises:
        OffboardError: it is no report, or was changed.
    """
    try:
        document: dict[str, Any] = json.loads(text)
        if document["format"] != FORMAT:
            raise OffboardError("the file is no report that this release knows")
        content = document["report"]
        stated = str(document["server_key"]["public_key"])
        report_key = str(document["report_key"]["public_key"])
        if public_key is not None and public_key.rstrip("=") != stated:
            raise OffboardError(f"the report was vouched for by another key than {public_key}: by {stated}")
        vouched = _vouched(str(document["server_key"]["key_id"]), _order_in(content), report_key)
        _public(stated).verify(_decoded(document["report_key"]["certificate"]), vouched)
        _public(report_key).verify(_decoded(document["signature"]), _canonical(content))
    except InvalidSignature:
        raise OffboardError(
            "the report is not as it was signed: it was changed, or another server has made it"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OffboardError("the file is no report of `synapse-bum offboard`") from None
    return document


def lines_of(document: Mapping[str, Any]) -> list[str]:
    """Say what a checked report says, in lines for a terminal: without a control character, whoever has made it.

    Raises:
        OffboardError: it does not say what a report says.
    """
    try:
        return [line if line.isprintable() else repr(line) for line in _lines(document)]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        raise OffboardError("the file is no report of `synapse-bum offboard`") from None


def counted_in_words(counts: Mapping[str, int]) -> str:
    """Say how much there was of what."""
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()) or "looked at"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    report, key = document["report"], document["server_key"]
    yield f"end of the contract of {report['server_name']}"
    yield f"vouched for by {key['key_id']} {key['public_key']}"
    yield f"closed {shown_time(report['closed']['ts'])} by {report['closed']['by']}"
    yield f"erased {shown_time(report['erased']['finished_ts'])} by {report['erased']['by']}"
    yield f"data: {report['data_return']}; backups: {report['backups']}"
    for step in report["steps"]:
        yield f"{shown_time(step['done_ts'])}  {step['what']}: {counted_in_words(step['counted'])}"
    for left in report["left"]:
        yield f"left: {left}"
    # Reports of older releases do not say it.
    for place in report.get("out_of_sight", ()):
        yield f"not looked at: {place}"


def _order(journal: Journal, by: str, begun_ts: int) -> dict[str, Any]:
    return {
        "server_name": journal.server_name,
        "closing_id": journal.closing_id,
        "closed": {"ts": journal.closed_ts, "by": journal.closed_by},
        "grace_days": journal.grace_days,
        "erased": {"begun_ts": begun_ts, "by": by},
    }


def _order_in(content: Mapping[str, Any]) -> dict[str, Any]:
    order = {name: content[name] for name in ("server_name", "closing_id", "closed", "grace_days")}
    return {**order, "erased": {name: content["erased"][name] for name in ("begun_ts", "by")}}


def _vouched(key_id: str, order: Mapping[str, Any], public_key: str) -> bytes:
    return _canonical({"purpose": _PURPOSE, "key_id": key_id, "order": order, "public_key": public_key})


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _private(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_decoded(seed))


def _public(key: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_decoded(key))


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
