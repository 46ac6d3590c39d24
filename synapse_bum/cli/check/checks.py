"""All checks of `synapse-bum check`, in the order in which they are printed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attr

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.cli.check import antivirus, availability, federation, oidc, portal, recovery, retention, storage
from synapse_bum.cli.check.configuration import read_layers
from synapse_bum.cli.check.database import database_remarks
from synapse_bum.cli.check.directory import directory_remarks
from synapse_bum.cli.check.given import Given, read_c_icap, read_directives, read_given
from synapse_bum.cli.check.listeners import admin_host_remarks, listener_remarks
from synapse_bum.cli.check.log import log_remarks
from synapse_bum.cli.check.machine import Machine, machine_remarks
from synapse_bum.cli.check.modules import load_modules
from synapse_bum.cli.check.online.network import Network
from synapse_bum.cli.check.online.remarks import online_remarks
from synapse_bum.cli.check.processes import Process, layer_remarks, process_remarks, processes_of
from synapse_bum.cli.check.proxy.included import FilesOnDisk
from synapse_bum.cli.check.proxy.remarks import expected, proxy_remarks
from synapse_bum.cli.check.remark import Remark
from synapse_bum.cli.check.scanner import scanner_remarks
from synapse_bum.cli.check.scanner_files import c_icap_remarks, clamd_remarks
from synapse_bum.cli.check.secret_files import media_folder_remarks, secret_file_remarks
from synapse_bum.cli.check.shapes import shape_remarks, upload_bytes
from synapse_bum.config import SharedConfig
from synapse_bum.federation.config import FederationConfig
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.portal.config import PortalConfig
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.storage.config import StorageConfig


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Surroundings:
    """What may be looked at beside the configuration.

    Attributes:
        connects: whether scanners and the database may be connected.
        network: where the homeserver is looked for as others do; None to leave that out.
        given: files of other programs.
        machine: what this machine says of itself; None when it is not the one, or can't tell.
    """

    connects: bool = False
    network: Network | None = None
    given: Given = attr.ib(factory=Given)
    machine: Machine | None = None


def check(paths: Sequence[Path], around: Surroundings) -> Iterator[Remark]:
    """Look at a configuration.

    Args:
        paths: as Synapse gets them with `-c`; the files of several workers may be among them.
        around: what else may be looked at.

    Yields:
        What there is to say, each once.

    Raises:
        ConfigurationError: a file can't be read.
    """
    said = set()
    for remark in _all(paths, around):
        if remark not in said:
            said.add(remark)
            yield remark


def _all(paths: Sequence[Path], around: Surroundings) -> Iterator[Remark]:
    layers = read_layers(paths)
    yield from layer_remarks(layers)
    processes = processes_of(layers)
    yield from process_remarks(layers, processes)
    homeserver = processes[0].settings
    yield from shape_remarks(homeserver)
    configs, wrong = load_modules(homeserver)
    yield from wrong
    scanner = next((config for config in configs.values() if isinstance(config, AntivirusConfig)), None)
    yield from _module_remarks(homeserver, configs)
    if scanner is not None and around.connects:
        yield from scanner_remarks(scanner, upload_bytes(homeserver))
    identity = next((config for config in configs.values() if isinstance(config, OidcConfig)), None)
    yield from oidc.identity_remarks(identity, homeserver)
    yield from recovery.recovery_remarks(configs.values())
    yield from directory_remarks(homeserver)
    for process in processes:
        yield from _process_remarks(process, configs, proxy_is_known=bool(around.given.proxies))
    yield from admin_host_remarks(configs)
    yield from _given_remarks(around, scanner, homeserver)
    yield from portal.way_remarks(configs, proxy_is_known=bool(around.given.proxies))
    wanted = expected(homeserver, configs.values())
    if around.given.proxies:
        texts = {str(path): read_given(path) for path in around.given.proxies}
        yield from proxy_remarks(texts, FilesOnDisk(), wanted, processes)
    if scanner is not None and around.machine is not None:
        yield from machine_remarks(around.machine)
    if around.connects:
        yield from database_remarks(homeserver, scanner)
    if around.network is not None:
        yield from online_remarks(homeserver, configs, around.network)


def _process_remarks(
    process: Process, configs: Mapping[str, SharedConfig], *, proxy_is_known: bool
) -> Iterator[Remark]:
    if process.is_worker:
        yield from shape_remarks(process.settings)
        # What it sees of the modules, where it sees something else than main: each has to be right there too.
        yield from load_modules(process.settings)[1]
    yield from listener_remarks(process, configs, proxy_is_known=proxy_is_known)
    if process.log_config is not None:
        yield from log_remarks(process.log_config)
    yield from secret_file_remarks(process)
    yield from media_folder_remarks(process)


def _given_remarks(
    around: Surroundings, scanner: AntivirusConfig | None, homeserver: Mapping[str, Any]
) -> Iterator[Remark]:
    mounts = None if around.machine is None else around.machine.mounts
    largest = upload_bytes(homeserver)
    if around.given.clamd is not None:
        found = read_directives(around.given.clamd)
        yield from clamd_remarks(found, scanner, largest, mounts, str(around.given.clamd))
    if around.given.c_icap is not None:
        found = read_c_icap(around.given.c_icap)
        yield from c_icap_remarks(found, scanner, largest, mounts, str(around.given.c_icap))


def _module_remarks(homeserver: Mapping[str, Any], configs: Mapping[str, SharedConfig]) -> Iterator[Remark]:
    for config in configs.values():
        if isinstance(config, AntivirusConfig):
            yield from antivirus.policy_remarks(config)
            yield from antivirus.size_remarks(config, upload_bytes(homeserver))
            yield from antivirus.request_secret_remarks(config)
        elif isinstance(config, RetentionConfig):
            yield from retention.policy_remarks(config)
            yield from retention.homeserver_remarks(config, homeserver)
        elif isinstance(config, FederationConfig):
            yield from federation.federation_remarks(config, homeserver)
        elif isinstance(config, PortalConfig):
            yield from portal.portal_remarks(config, homeserver)
            yield from portal.reach_remarks(config, configs)
            yield from portal.secret_remarks(config)
        elif isinstance(config, StorageConfig):
            yield from storage.policy_remarks(config)
            yield from storage.homeserver_remarks(config, homeserver)
        elif isinstance(config, AvailabilityConfig):
            yield from availability.policy_remarks(config)
