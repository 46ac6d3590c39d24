"""What the requests of the availability routes carry, and what is wrong with a span of time. Pure."""

from enum import Enum
from typing import Final

import attr

from synapse_bum.availability.outages import Excuse
from synapse_bum.availability.probes import ProbeResult, ProbeState
from synapse_bum.identifiers import is_run_id
from synapse_bum.reading import Path, fail, integer, list_of, matching, one_of, option, section, text
from synapse_bum.rest import invalid_param
from synapse_bum.rest.queries import MAX_INTEGER

_EARLIEST_MS: Final = 1_577_836_800_000
"""2020-01-01: an earlier time is one in seconds."""

_MAX_WORDS: Final = 500
_MAX_MS: Final = 86_400_000
_MAX_RESULTS: Final = 200


def _timestamp(value: object, path: Path) -> int:
    ts = integer(0, MAX_INTEGER)(value, path)
    if ts < _EARLIEST_MS:
        fail(path, "must be in milliseconds since the epoch, and not before 2020")
    return ts


def words(value: object, path: Path) -> str:
    """Reads some words without line ends."""
    found = text(value, path)
    if len(found) > _MAX_WORDS or not found.isprintable():
        fail(path, f"must be one line of at most {_MAX_WORDS} characters")
    return found


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reason:
    """The body of DELETE.

    Attributes:
        reason: in the operator's words; it goes into the audit.
    """

    reason: str = option(words)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class OutageBody(Reason):
    """The body of POST and PUT of an outage.

    Attributes:
        from_ts: its first moment, ms since the epoch.
        to_ts: the first one behind it; None while it goes on.
        ticket: of the incident; None while there is none.
        excuse: why it does not count, None when it does.
    """

    from_ts: int = option(_timestamp)
    to_ts: int | None = option(_timestamp, default=None)
    ticket: str | None = option(words, default=None)
    excuse: Excuse | None = option(one_of(Excuse), default=None)  # noqa: RUF009 - makes an attrs field

    def check(self, now_ms: int) -> None:
        """Lets a span pass that can be one of an outage.

        Raises:
            SynapseError: 400 M_INVALID_PARAM.
        """
        check_order(self.from_ts, self.to_ts)
        if self.excuse is not None and self.to_ts is not None:
            return
        if self.from_ts > now_ms:
            raise invalid_param("from_ts", "lies in the future; only an excused event with an end may do so")
        if self.to_ts is not None and self.to_ts > now_ms:
            raise invalid_param("to_ts", "lies in the future; leave it out while the outage goes on")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MaintenanceBody:
    """The body of POST and PUT of an announcement.

    Attributes:
        from_ts: when the maintenance begins, ms since the epoch.
        to_ts: the first moment behind it.
        text: what users read.
    """

    from_ts: int = option(_timestamp)
    to_ts: int = option(_timestamp)
    text: str = option(text)

    def check(self) -> None:
        """Lets a span pass that is one.

        Raises:
            SynapseError: 400 M_INVALID_PARAM.
        """
        check_order(self.from_ts, self.to_ts)


class ReportedState(Enum):
    """What a probe may say of a result; that its clock is wrong is found here."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ResultBody:
    """One result in the body of a probe; the attributes are those of `ProbeResult`."""

    probe_id: str = option(matching(is_run_id, "an id of at most 64 letters, digits, `_` and `-`"))
    ts: int = option(_timestamp)
    state: ReportedState = option(one_of(ReportedState))  # noqa: RUF009 - makes an attrs field
    step: str | None = option(words, default=None)
    error: str | None = option(words, default=None)
    direct_ms: int | None = option(integer(0, _MAX_MS), default=None)
    group_ms: int | None = option(integer(0, _MAX_MS), default=None)
    clock_offset_ms: int | None = option(integer(-MAX_INTEGER, MAX_INTEGER), default=None)

    def received(self, now_ms: int) -> ProbeResult:
        """Returns it as a result that came now."""
        return ProbeResult(
            self.probe_id,
            self.ts,
            ProbeState(self.state.value),
            self.step,
            self.error,
            self.direct_ms,
            self.group_ms,
            self.clock_offset_ms,
            received_ts=now_ms,
        )


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ProbesBody:
    """The body of a probe.

    Attributes:
        sent_ts: what its clock says now, ms since the epoch.
        results: at most 200.
    """

    sent_ts: int = option(integer(0, MAX_INTEGER))
    results: tuple[ResultBody, ...] = option(list_of(section(ResultBody)))

    def check(self) -> None:
        """Lets a body pass that is not too long.

        Raises:
            SynapseError: 400 M_INVALID_PARAM.
        """
        if len(self.results) > _MAX_RESULTS:
            raise invalid_param("results", f"must have at most {_MAX_RESULTS} entries")


def check_order(from_ts: int, to_ts: int | None) -> None:
    """Lets a span pass that is not empty.

    Raises:
        SynapseError: 400 M_INVALID_PARAM.
    """
    if to_ts is not None and to_ts <= from_ts:
        raise invalid_param("to_ts", "must be after `from_ts`")
