"""Ten thousand different people of three identity providers: from their claims to the name of an account.

In this process, without I/O: the mapping is pure.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.measuring import Effort, Goal, spread
from benchmarks.report import Row, Section
from synapse_bum.oidc.mapping import MappingConfig, candidate, decide, parse_mapping
from synapse_bum.testing.identity_tokens import (
    entra_config,
    entra_token,
    keycloak_config,
    keycloak_token,
    okta_config,
    okta_userinfo,
)

MICROSECONDS: Final = 50.0

_PEOPLE: Final = 10_000
_MICRO: Final = 1_000_000
_GIVEN: Final = ("Jürgen", "Anna", "Zoë", "Łukasz", "Åsa", "Ян", "Thi", "Weiß")


def measure(effort: Effort) -> Iterator[Section]:
    """Measure the table."""
    rounds = 5 if effort is Effort.QUICK else 20
    rows: list[Row] = []
    slowest = 0.0
    for provider, (config, people) in _providers().items():
        for kind, attempt in (("a free name", 0), ("a taken name", 1)):
            found = spread([_microseconds(config, people, attempt) for _ in range(rounds)])
            slowest = max(slowest, found.median)
            rows.append((provider, kind, found))
    yield Section(
        "Identity: one mapping",
        ("claims of", "with", "decision and localpart, µs, median (lowest - highest)"),
        rows,
        goals=(Goal("a person's claims become a decision and a localpart in", slowest, MICROSECONDS, "µs"),),
        remarks=(f"{_PEOPLE:,} different people in each round; processor time.",),
    )


def _providers() -> Mapping[str, tuple[MappingConfig, Sequence[Mapping[str, Any]]]]:
    names = [f"{_GIVEN[number % len(_GIVEN)]}.Müller-{number}" for number in range(_PEOPLE)]
    return {
        "Entra ID": (
            parse_mapping(entra_config()),
            [entra_token(oid=f"oid-{name}", preferred_username=f"{name}@bund.example", name=name) for name in names],
        ),
        "Okta": (
            parse_mapping(okta_config()),
            [okta_userinfo(sub=f"00u{name}", preferred_username=f"{name}@bund.example", name=name) for name in names],
        ),
        "Keycloak": (
            parse_mapping(keycloak_config(groups_path="groups", required_roles=["messenger-user"])),
            [keycloak_token(sub=f"sub-{name}", preferred_username=name, name=name) for name in names],
        ),
    }


def _microseconds(config: MappingConfig, people: Sequence[Mapping[str, Any]], attempt: int) -> float:
    """Processor time for one person, in microseconds: what else the machine does is left out."""
    began = time.process_time()
    for claims in people:
        decision = decide(config, claims)
        if decision.localpart is None or decision.subject is None:
            raise RuntimeError(f"nobody is refused here: {decision.reasons}")
        candidate(
            decision.localpart,
            idp_id=config.idp_id,
            subject=decision.subject,
            server_name="messenger.bund.example",
            attempt=attempt,
        )
    return (time.process_time() - began) / len(people) * _MICRO
