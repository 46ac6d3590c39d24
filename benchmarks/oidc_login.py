"""A login with an identity provider through our mapping, beside Synapse's own Jinja mapping: what people wait for.

Three homeservers on PostgreSQL, one with our mapping, one with our mapping and its module, which brings accounts up to
date, and one with `JinjaOidcMappingProvider`, share one provider (the npm package oidc-provider) and take turns. What
is timed begins when the provider has sent the browser back, and ends with the access token: the homeserver fetches the
ID token, finds or makes the account, and logs in.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import attr

import benchmarks
from benchmarks.measuring import Batch, Effort, Goal, Turns, ratio, spread, take_turns
from benchmarks.report import Row, Section, rounds_in_words
from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.oidc_provider import KEYCLOAK, PASSWORD, RealOidcProvider, keycloak_person
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.signed_in import OUR_MAPPER, SYNAPSES_MAPPER, SignedInSynapse

ALONE: Final = "our mapping"
WITH: Final = "our mapping and module"
WITHOUT: Final = "Synapse's Jinja mapping"
RATIO: Final = 1.05

_SETUP: Final = Path(benchmarks.__file__).parent.parent / "scripts" / "setup-identity"
_MODULE: Final = {"module": "synapse_bum.oidc.OidcModule", "config": {}}
_OURS: Final = {"preset": "keycloak", "admin_roles": ["messenger-admin"]}
_MAPPINGS: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    ALONE: (OUR_MAPPER, _OURS),
    WITH: (OUR_MAPPER, _OURS),
    WITHOUT: (
        SYNAPSES_MAPPER,
        {"localpart_template": "{{ user.preferred_username }}", "display_name_template": "{{ user.name }}"},
    ),
}
_IDP: Final = "keycloak"
_LOGINS: Final = 12
_MS: Final = 1_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TURNS: Final = {Effort.THOROUGH: Turns(2, 10, 60, 60), Effort.QUICK: Turns(1, 4, 20, 10)}
_numbers = itertools.count()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contest:
    """One kind of login.

    Attributes:
        title: of it.
        people: accounts of a turn; those of the last turn again, or new ones.
    """

    title: str
    people: Callable[[], Sequence[str]]


def measure(effort: Effort) -> Iterator[Section]:
    """Measure the two kinds of login; yields each section when it is done."""
    folder = _provider_folder()
    if folder is None or shutil.which("initdb") is None:
        remark = "Not measured: it needs PostgreSQL, and oidc-provider, which scripts/setup-identity fetches with npm."
        yield Section("Identity: logins", ("homeserver",), (), remarks=(remark,))
        return
    known = [f"known{number}" for number in range(_LOGINS)]
    contests = (
        Contest("a later login", lambda: known),
        Contest("a first login, which makes the account", lambda: [f"new{next(_numbers)}" for _ in range(_LOGINS)]),
    )
    with ExitStack() as everything:
        certificates = CertificateFolder(Path(everything.enter_context(tempfile.TemporaryDirectory())))
        synapses = {name: _homeserver(everything, certificates, name) for name in _MAPPINGS}
        urls = [synapse.base_url for synapse in synapses.values()]
        providers = everything.enter_context(RealOidcProvider(folder, certificates, urls))
        for name, (module, mapping) in _MAPPINGS.items():
            entry = providers.relation(KEYCLOAK).entry(_IDP, mapping, module=module)
            synapses[name].config["oidc_providers"] = [entry]
            everything.enter_context(synapses[name])
        for contest in contests:
            contenders = {name: partial(_turn, synapse, providers, contest) for name, synapse in synapses.items()}
            yield _section(contest, take_turns(contenders, _TURNS[effort]))


def _provider_folder() -> Path | None:
    done = subprocess.run([_SETUP, "oidc-provider"], stdout=subprocess.PIPE, text=True, check=False)
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def _homeserver(everything: ExitStack, certificates: CertificateFolder, name: str) -> SignedInSynapse:
    postgres = everything.enter_context(RealPostgres())
    modules = [_MODULE] if name == WITH else []
    return SignedInSynapse(certificates, modules=modules, postgres_dsn=postgres.dsn())


def _turn(synapse: SignedInSynapse, providers: RealOidcProvider, contest: Contest) -> Batch:
    """Log in one after the other; the way to the provider and through its form is not timed."""
    people = contest.people()
    providers.know_only(KEYCLOAK, {name: keycloak_person(name, name, f"Person {name}", ["user"]) for name in people})
    seconds: list[float] = []
    cpu_s = 0.0
    for name in people:
        browser = synapse.browser()
        callback = browser.callback_url(_IDP, name, PASSWORD)
        cpu_began, began = _cpu_s(synapse.pid), time.perf_counter()
        browser.spend(browser.login_token(callback))
        seconds.append(time.perf_counter() - began)
        cpu_s += _cpu_s(synapse.pid) - cpu_began
    return Batch(seconds, sum(seconds), cpu_s)


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _section(contest: Contest, batches: Mapping[str, Sequence[Batch]]) -> Section:
    seconds = {name: [batch.latency_s for batch in rounds] for name, rounds in batches.items()}
    cpu = {name: [batch.cpu_per_file_s * _MS for batch in rounds] for name, rounds in batches.items()}
    compared = {name: ratio(seconds[name], seconds[WITHOUT]) for name in (ALONE, WITH)}
    rows: list[Row] = [
        (
            name,
            spread([latency * _MS for latency in seconds[name]]),
            spread(cpu[name]),
            compared.get(name),
        )
        for name in batches
    ]
    return Section(
        title=f"Identity: {contest.title}",
        columns=("homeserver", "ms a login", "processor ms of Synapse", "time against Synapse's own"),
        rows=rows,
        goals=[
            Goal(f"{contest.title}, {name}: time against Synapse's own mapping", found.median, RATIO, "x")
            for name, found in compared.items()
        ],
        remarks=(
            f"{rounds_in_words(batches, _LOGINS).capitalize()} Each file here is a login.",
            "From the provider's answer to the access token; PostgreSQL does not wait for the disk.",
            "Ours first writes down who logged in: the second step of a login may reach another process.",
        ),
    )
