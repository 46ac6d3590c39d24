"""The rule: which server is a partner at which moment. Pure; nothing here waits or reads a database.

The most specific partner decides alone: one with exactly this name, else the longest wildcard that fits. Of several
with the same name the source decides (`partner.PRECEDENCE`). So whoever is listed with an end is out after it, also
where a wildcard or the signed list would have let him in.

An answer costs one look into a dict for an exact name. Where that is none, one for each label, and the result is kept
for as many names as fit into a bound: strangers may come with any names. Nothing depends on the number of partners.

Names are compared exactly, and those of partners are lower case: to Matrix, `A.example` and `a.example` are two
servers, each with keys and queues of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attr

from synapse_bum.federation.names import WILDCARD
from synapse_bum.federation.partner import PRECEDENCE, Because, Decision, Partner, Source
from synapse_bum.identifiers import is_server_name

_ALWAYS: Final = -(2**63)
_NEVER: Final = 2**63
_MAX_KEPT: Final = 10_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Entry:
    """A partner with the moments that count, in ms since the epoch.

    Attributes:
        begin: the first moment.
        end_in: the first moment in which nothing comes in any more.
        end_out: the first moment in which nothing goes out any more.
        partner: what it was made of.
    """

    begin: int
    end_in: int
    end_out: int
    partner: Partner


class Allowlist:
    """All partners at one state of the database; never changed, only replaced.

    Attributes:
        in_force: the partner that decides, by name.
    """

    __slots__ = ("_below", "_exact", "_kept", "_latest", "_list_until", "_partners", "in_force")

    def __init__(
        self,
        partners: Iterable[Partner],
        list_until_ts: int | None = None,
        latest: Callable[[int], int] = int,
    ) -> None:
        """Builds the tables.

        Args:
            partners: from all sources.
            list_until_ts: the first moment in which partners from the signed list are not believed any more; None for
                no such moment.
            latest: makes of the time of a question the one by which ends count, as `LatestTime` does: a clock that was
                set back brings nobody back. Beginnings count by the time of the question.
        """
        self._partners = tuple(partners)
        self._latest = latest
        self._list_until = list_until_ts
        self._exact: dict[str, _Entry] = {}
        # By what a name must end with: `.bund.example` for `*.bund.example`.
        self._below: dict[str, _Entry] = {}
        self._kept: dict[str, _Entry | None] = {}
        self.in_force: dict[str, Partner] = {}
        for partner in sorted(self._partners, key=lambda one: PRECEDENCE.index(one.source)):
            self.in_force.setdefault(partner.server_name, partner)
        for name, partner in self.in_force.items():
            if name.startswith(WILDCARD):
                self._below[name[1:]] = self._entry(partner)
            else:
                self._exact[name] = self._entry(partner)

    def lets_in(self, name: str, now_ms: int) -> bool:
        """Whether this server may ask us, and whether what comes from it may be served."""
        entry = self._exact.get(name) or self._find(name)
        return entry is not None and self._is_between(entry.begin, now_ms, entry.end_in)

    def lets_out(self, name: str, now_ms: int) -> bool:
        """Whether we may ask this server; differs from `lets_in` only while a partner is being removed."""
        entry = self._exact.get(name) or self._find(name)
        return entry is not None and self._is_between(entry.begin, now_ms, entry.end_out)

    def knows(self, name: str) -> bool:
        """Whether there is a partner for this server, at whatever time."""
        return (self._exact.get(name) or self._find(name)) is not None

    def decide(self, name: str, now_ms: int) -> Decision:
        """Says whether a server is let in, and why.

        Args:
            name: of the server, in its compared form.
            now_ms: ms since the epoch.
        """
        entry = self._exact.get(name) or self._find(name)
        if entry is None:
            return Decision(allowed=False, because=Because.NOT_LISTED)
        matched = entry.partner.server_name
        if self._is_between(entry.begin, now_ms, entry.end_in):
            return Decision(allowed=True, because=Because.PARTNER, matched=matched)
        return Decision(allowed=False, because=self._refusal(entry, now_ms), matched=matched)

    def is_valid(self, partner: Partner, now_ms: int) -> bool:
        """Whether a partner that is in force counts now."""
        entry = self._entry(partner)
        return self._is_between(entry.begin, now_ms, entry.end_in)

    def valid_names(self, now_ms: int) -> Iterator[str]:
        """The names of partners that are let in now, without wildcards."""
        return (name for name, entry in self._exact.items() if self._is_between(entry.begin, now_ms, entry.end_in))

    def of(self, source: Source) -> list[Partner]:
        """All partners of one source, those too about which another one decides."""
        return [partner for partner in self._partners if partner.source is source]

    def without(self, partner: Partner) -> "Allowlist":
        """What would be allowed without a partner; one of another source with the same name takes its place."""
        return Allowlist([one for one in self._partners if one is not partner], self._list_until, self._latest)

    def believed_until(self, list_until_ts: int) -> "Allowlist":
        """The same partners, with another moment for those from the signed list."""
        return Allowlist(self._partners, list_until_ts, self._latest)

    def _is_between(self, begin: int, now_ms: int, end: int) -> bool:
        # Most partners have no end, and need no second clock.
        return begin <= now_ms and (end == _NEVER or self._latest(now_ms) < end)

    def _entry(self, partner: Partner) -> _Entry:
        begin = _ALWAYS if partner.valid_from_ts is None else partner.valid_from_ts
        end = _NEVER if partner.valid_until_ts is None else partner.valid_until_ts
        if partner.source is Source.SIGNED_LIST and self._list_until is not None:
            end = min(end, self._list_until)
        if partner.leaving_until_ts is None:
            return _Entry(begin, end, end, partner)
        return _Entry(begin, _ALWAYS, min(end, partner.leaving_until_ts), partner)

    def _find(self, name: str) -> _Entry | None:
        try:
            return self._kept[name]
        except KeyError:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            return self._kept.setdefault(name, self._search(name))

    def _search(self, name: str) -> _Entry | None:
        if not self._below:
            return None
        dot = name.find(".", 1)
        while dot > 0:
            entry = self._below.get(name[dot:])
            if entry is not None:
                # What stands before the dot came from outside.
                return entry if is_server_name(name) and name == name.lower() else None
            dot = name.find(".", dot + 1)
        return None

    def _refusal(self, entry: _Entry, now_ms: int) -> Because:
        partner = entry.partner
        if partner.leaving_until_ts is not None:
            return Because.BEING_REMOVED
        if now_ms < entry.begin:
            return Because.NOT_YET_VALID
        if partner.valid_until_ts is not None and self._latest(now_ms) >= partner.valid_until_ts:
            return Because.EXPIRED
        return Because.LIST_IS_STALE
