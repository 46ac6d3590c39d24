"""What a finding of the virus scanner allows, and what the scanner's own report means. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

import attr

from synapse_bum.portal.language.saying import Saying

_OLD_SIGNATURES_MS: Final = 3 * 86_400_000
"""ClamAV brings new signatures every day; after three days without, something is wrong."""

_HELD: Final = re.compile(r"This file must be kept: (\S+) is on hold \((.*)\)", re.DOTALL)
_WAITING: Final = re.compile(r"The rescan ([A-Za-z0-9_-]{1,64}) waits for a decision ")
_MAX_QUOTED: Final = 200
_STORED: Final = frozenset({"blocked", "block_failed", "released"})
_PROBES: Final = ("eicar", "oversize", "encrypted_archive", "nested_archive", "many_files", "inflated_archive")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Offer:
    """What can be done with a finding now.

    Attributes:
        release: whether a release would change anything.
        delete: whether there is a file that can be deleted.
    """

    release: bool
    delete: bool


def file_of(mxc: str) -> tuple[str, str]:
    """Returns server name and media id of an `mxc://` address."""
    server, _slash, media_id = mxc.removeprefix("mxc://").partition("/")
    return server, media_id


def offer(finding: Mapping[str, Any], own_name: str) -> Offer:
    """Says what the API would do with a finding (docs/api.md, "antivirus/findings").

    Args:
        finding: as the API shows it.
        own_name: of this homeserver; of an upload that was refused here nothing is stored.
    """
    state = finding["state"]
    one_key_only = state == "rejected" and finding["source"] == "content_scanner"
    fetched_again = state == "rejected" and file_of(finding["mxc"])[0] != own_name
    return Offer(
        release=state in {"blocked", "block_failed"} or one_key_only or fetched_again,
        delete=state in _STORED or one_key_only,
    )


def refusal(sentence: str) -> Saying:
    """Says in the reader's words why the API refused to release or to delete a file.

    Args:
        sentence: of an answer with 409.
    """
    hold = _HELD.fullmatch(sentence)
    if hold is not None:
        return Saying("findings.refused.hold", {"target": hold[1], "reason": hold[2][:_MAX_QUOTED]})
    known = {
        "This file was refused: nothing of it is stored": "nothing_stored",
        "This file is still being uploaded; try again in a moment": "still_uploading",
        "This file was deleted": "deleted",
    }
    if sentence in known:
        return Saying(f"findings.refused.{known[sentence]}")
    return Saying("findings.refused.other", {"sentence": sentence[:_MAX_QUOTED]})


def waiting_rescan(sentence: str) -> str | None:
    """Returns the id of the rescan that has to be decided about before another one starts; None for another refusal."""
    found = _WAITING.match(sentence)
    return found[1] if found is not None else None


def scanner_saying(status: Mapping[str, Any], now_ms: int) -> Saying:
    """Says in one sentence how the scanner is.

    Args:
        status: as the API shows it.
        now_ms: ms since the epoch.
    """
    if status["engine"] is None:
        return Saying("findings.scanner.silent", kind="error")
    if not status["scanner_ok"]:
        return Saying("findings.scanner.down", kind="error")
    made = status["signature_ts"]
    if made is not None and now_ms - made > _OLD_SIGNATURES_MS:
        return Saying("findings.scanner.old")
    return Saying("findings.scanner.ok", kind="success")


def probes(self_test: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Returns each probe of the self-test with what became of it, as keys of the catalogue.

    Args:
        self_test: result by probe; None for one that was not tried yet. Probes that are not known here are left out.
    """
    return [(f"findings.probe.{name}", _outcome(name, self_test[name])) for name in _PROBES if name in self_test]


def _outcome(probe: str, result: str | None) -> str:
    if result is None:
        return "findings.result.untried"
    if result not in {"found", "refused", "passed", "failed"}:
        return "findings.result.unknown"
    if result == "passed" and probe in {"eicar", "oversize"}:
        # A scanner that passes the test virus is none; what is too large is refused whatever it says.
        return f"findings.result.passed_{probe}"
    return f"findings.result.{result}"
