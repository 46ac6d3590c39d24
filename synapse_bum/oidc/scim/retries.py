"""When those are tried again for whom something has failed: ever later, so that they hold up nobody else. Pure."""

import attr

Key = tuple[str, str]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Failures:
    """What is known of one: which change failed, how often, and when the last time (ms since the epoch)."""

    change_ts: int
    count: int
    last_ms: int


class Retries:
    """What one process has in mind of its failures; after a restart all are tried at once."""

    def __init__(self, first_ms: int, longest_ms: int) -> None:
        """Nothing has failed yet.

        Args:
            first_ms: how long to wait after a first failure; twice as long after each further one.
            longest_ms: but never longer.
        """
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._failures: dict[Key, _Failures] = {}

    def is_due(self, key: Key, change_ts: int, now_ms: int) -> bool:
        """Whether to try now.

        Args:
            key: whose work.
            change_ts: of the change that brought it: a new one is tried at once.
            now_ms: the present, ms since the epoch; a clock that was set back makes nobody wait.
        """
        known = self._failures.get(key)
        if known is None or known.change_ts != change_ts:
            return True
        return not 0 <= now_ms - known.last_ms < self._wait_ms(known.count)

    def failed(self, key: Key, change_ts: int, now_ms: int) -> None:
        """Takes note of a failure."""
        known = self._failures.get(key)
        before = known.count if known is not None and known.change_ts == change_ts else 0
        self._failures[key] = _Failures(change_ts, before + 1, now_ms)

    def worked(self, key: Key) -> None:
        """Forgets the failures of one."""
        self._failures.pop(key, None)

    def forget_gone(self, now_ms: int) -> None:
        """Forgets those who were not tried again for long: their work is done elsewhere."""
        kept_ms = 2 * self._longest_ms
        self._failures = {key: one for key, one in self._failures.items() if 0 <= now_ms - one.last_ms < kept_ms}

    def _wait_ms(self, count: int) -> int:
        wait_ms = self._first_ms
        for _further in range(count - 1):
            if wait_ms >= self._longest_ms:
                break
            wait_ms *= 2
        return min(wait_ms, self._longest_ms)
