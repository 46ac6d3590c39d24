"""The command `synapse-bum oidc-migrate`.

What knows the mapping takes Synapse along, which takes seconds: it is imported when this command runs.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synapse_bum.cli.command import Command

if TYPE_CHECKING:
    from synapse_bum.oidc.mapping.config import MappingConfig


def _claim_names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError("must be names of claims with commas between them")
    return names


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config-path",
        action="append",
        type=Path,
        required=True,
        metavar="PATH",
        help="homeserver.yaml with the new mapping, or a folder of YAML files; repeat it as for Synapse",
    )
    parser.add_argument("--idp", required=True, metavar="IDP_ID", help="the `idp_id` in `oidc_providers`")
    people = parser.add_mutually_exclusive_group(required=True)
    people.add_argument("--claims", type=Path, metavar="FILE", help="claims of people, an object of JSON in each line")
    people.add_argument("--list", type=Path, metavar="FILE", help="old and new subjects, CSV")
    parser.add_argument(
        "--from",
        dest="old_claims",
        type=_claim_names,
        metavar="CLAIM[,CLAIM]",
        help="with --claims: what the subject was made from until now",
    )
    parser.add_argument("--list-out", type=Path, metavar="FILE", help="write the old and new subjects to this file")
    parser.add_argument("--apply", action="store_true", help="change the links; without it nothing is changed")
    parser.add_argument(
        "--synapse-is-stopped",
        action="store_true",
        help="with --apply: you have stopped Synapse with all its workers, which keep links in memory",
    )


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration  # noqa: PLC0415 - see above
    from synapse_bum.cli.oidc_migrate.carrying_out import carry_out  # noqa: PLC0415 - the same
    from synapse_bum.cli.oidc_migrate.renamings import from_claims, from_list, write_list  # noqa: PLC0415 - the same
    from synapse_bum.cli.oidc_migrate.report import lines, problem_lines  # noqa: PLC0415 - the same
    from synapse_bum.cli.stopped_synapse import SynapseRunsError  # noqa: PLC0415 - the same
    from synapse_bum.homeserver.offline_database import (  # noqa: PLC0415 - the same
        OfflineDatabase,
        OfflineDatabaseError,
        database_settings,
    )

    try:
        if (options.claims is None) is not (options.old_claims is None):
            raise ConfigurationError("--claims and --from belong together")
        if options.apply is not options.synapse_is_stopped:
            raise ConfigurationError("--apply and --synapse-is-stopped belong together")
        source = options.list or options.claims
        if options.list_out is not None and options.list_out.resolve() == source.resolve():
            raise ConfigurationError("--list-out would overwrite what is read; name another file")
        homeserver = read_configuration(options.config_path)
        mapping = _mapping(homeserver, options.idp)
        if options.claims is None:
            wanted = from_list(options.list, mapping)
        else:
            wanted = from_claims(options.claims, mapping, options.old_claims)
        # Before anything is changed: what follows must not fail.
        if options.list_out is not None:
            write_list(options.list_out, wanted.renamings)
        database = OfflineDatabase(database_settings(homeserver))
        may_apply = options.apply and not wanted.problems
        migration = carry_out(database, mapping, wanted.renamings, apply=may_apply)
    except (ConfigurationError, OfflineDatabaseError, SynapseRunsError) as error:
        print(f"synapse-bum oidc-migrate: {error}", file=sys.stderr)
        return 1
    problems = (*wanted.problems, *migration.problems)
    for line in lines(migration, applied=may_apply and not problems):
        print(line)
    if problems:
        for line in problem_lines(problems):
            print(line, file=sys.stderr)
        return 1
    return 0


def _mapping(homeserver: dict[str, object], idp_id: str) -> "MappingConfig":
    from synapse_bum.cli.check.configuration import ConfigurationError  # noqa: PLC0415 - see the head of this file
    from synapse_bum.cli.identity_providers import readable_providers  # noqa: PLC0415 - the same

    providers = readable_providers(homeserver)
    for one in providers:
        if one.settings.auth_provider != one.mapping.auth_provider:
            raise ConfigurationError(f"`{one.place}`: its `idp_id` and that of its mapping provider are not the same")
    mappings = {one.mapping.idp_id: one.mapping for one in providers}
    if idp_id not in mappings:
        raise ConfigurationError(f"there is no identity provider `{idp_id}`; there are: {', '.join(mappings)}")
    return mappings[idp_id]


OIDC_MIGRATE: Final = Command(
    name="oidc-migrate",
    summary="keep people's accounts when the claim that names people changes",
    description="Says who becomes whom when the subject of an identity provider's people is made from another claim,"
    " and with --apply changes the links of their accounts. All or nothing; what is ambiguous is refused.",
    add_options=_add_options,
    run=_run,
)
