"""One question to the allowlist beside Synapse's own static dict, with few and many partners; and how fast changes are.

Questions are asked in this process, with the wall clock for the homeserver's: what Synapse does is `name in whitelist`,
for both. Changes go to a homeserver of five processes on PostgreSQL and Redis.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from timeit import repeat
from typing import Final

from benchmarks.measuring import Effort, Goal, Spread, ratio, spread
from benchmarks.report import Row, Section
from synapse_bum.federation.allowlist import Allowlist
from synapse_bum.federation.denials import Denials, Direction
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.whitelist import Current, Whitelist
from synapse_bum.testing.propagation import delays
from synapse_bum.testing.workers import SynapseStack

MICROSECONDS: Final = 2.0
FLAT: Final = 2.0
PROPAGATION_MS: Final = 100.0

_SIZES: Final = (10, 1_000, 100_000)
_QUESTIONS: Final = 20_000
_MICRO: Final = 1_000_000


def measure(effort: Effort) -> Iterator[Section]:
    """Measure the two tables."""
    yield _questions(effort)
    yield _changes(effort)


def _changes(effort: Effort) -> Section:
    """How long a change takes until the last of five processes knows it."""
    count = 30 if effort is Effort.QUICK else 200
    columns = ("changes, one after the other", "ms until all five processes know, median (lowest - highest)", "p95, ms")
    title = "Federation: one change"
    if shutil.which("redis-server") is None or shutil.which("initdb") is None:
        return Section(title, columns, (), remarks=("Not measured: PostgreSQL or Redis is not installed.",))
    module = {"module": "synapse_bum.federation.FederationModule", "config": {}}
    with SynapseStack(
        modules=[module], config={"federation_domain_whitelist": []}, more=("generic1", "generic2")
    ) as stack:
        found = [seconds * 1000 for seconds in delays(stack, stack.main.register("boss", admin=True), count)]
    p95 = statistics.quantiles(found, n=20)[-1]
    return Section(
        title,
        columns,
        [(count, spread(found), p95)],
        goals=(Goal("a change is known to all five processes after (p95)", p95, PROPAGATION_MS, "ms"),),
        remarks=("From sending the request, which goes to each process in turn, to the log line of the last process.",),
    )


def _questions(effort: Effort) -> Section:
    """What one question costs."""
    rounds = 5 if effort is Effort.QUICK else 15
    rows: list[Row] = []
    ours: dict[tuple[str, int], Spread] = {}
    peers: dict[int, Spread] = {}
    for size in _SIZES:
        static = {f"s{number}.example": True for number in range(size)}
        names = {"exact": f"s{size // 2}.example", "wildcard": f"a.b.s{size // 2}.example", "stranger": "a.other.test"}
        peer = _seconds(static, names["exact"], rounds)
        peers[size] = spread(peer)
        for kind, name in names.items():
            measured = _seconds(_whitelist(size, wildcards=kind != "exact"), name, rounds)
            ours[kind, size] = spread(measured)
            rows.append((f"{size:,}", kind, ours[kind, size], spread(peer), ratio(measured, peer)))
    slowest = max(found.median for (kind, _), found in ours.items() if kind != "stranger")
    growth = max(ours[kind, _SIZES[-1]].median / ours[kind, _SIZES[0]].median for kind, _ in ours)
    alone = peers[_SIZES[-1]].median / peers[_SIZES[0]].median
    return Section(
        "Federation: one question",
        ("partners", "name", "ours, µs", "static dict, µs", "ratio"),
        rows,
        goals=(
            Goal("a question about a partner takes", slowest, MICROSECONDS, "µs"),
            Goal("with 100,000 partners it takes, of what it takes with 10,", growth, FLAT, "x", without_us=alone),
        ),
        remarks=(
            "`exact` without wildcards among the partners, the other two with as many wildcards as partners.",
            "What was found for a name that is no partner's own is kept, as here after the first question.",
            "A stranger is counted, and some are logged.",
            "No question reads the database: the allowlist is in memory, and its `in` is synchronous.",
        ),
    )


def _whitelist(size: int, *, wildcards: bool) -> Whitelist:
    form = "*.s{}.example" if wildcards else "s{}.example"
    found = [Partner(form.format(number), None, Source.MANAGED, valid_until_ts=2**52) for number in range(size)]
    current = Current()
    current.allowlist = Allowlist(found)
    return Whitelist(current, Direction.IN, Denials(), lambda: int(time.time() * 1000))


def _seconds(whitelist: Mapping[str, bool], name: str, rounds: int) -> list[float]:
    """Microseconds of processor time for one question, in each round: what else the machine does is left out."""
    ask: Callable[[], bool] = partial(_ask, whitelist, name)
    return [total / _QUESTIONS * _MICRO for total in repeat(ask, timer=time.process_time, number=1, repeat=rounds)]


def _ask(whitelist: Mapping[str, bool], name: str) -> bool:
    found = False
    for _ in range(_QUESTIONS):
        found = name in whitelist
    return found
