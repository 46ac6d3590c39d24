"""The command `synapse-bum mas-config`.

What knows the mapping takes Synapse along, which takes seconds: it is imported when this command runs.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from synapse_bum.cli.command import Command


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config-path",
        action="append",
        type=Path,
        required=True,
        metavar="PATH",
        help="homeserver.yaml with `oidc_providers`, or a folder of YAML files; repeat it as for Synapse",
    )


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration  # noqa: PLC0415 - see above
    from synapse_bum.cli.identity_providers import readable_providers  # noqa: PLC0415 - the same
    from synapse_bum.oidc.mas.document import mas_document  # noqa: PLC0415 - the same
    from synapse_bum.oidc.mas.provider import upstream  # noqa: PLC0415 - the same

    try:
        homeserver = read_configuration(options.config_path)
        server_name = homeserver.get("server_name")
        if not isinstance(server_name, str):
            raise ConfigurationError("`server_name` is missing")
        providers = [
            upstream(one.options, one.mapping, server_name, doubts=(*one.contradictions, *one.doubts))
            for one in readable_providers(homeserver)
        ]
    except ConfigurationError as error:
        print(f"synapse-bum mas-config: {error}", file=sys.stderr)
        return 1
    for provider in providers:
        name = provider.options["synapse_idp_id"]
        for remark in provider.remarks:
            print(f"{name}: {remark}", file=sys.stderr)
        for one in provider.unexpressed:
            print(f"{name}: does not hold ({one.rule.value}): {one.text}", file=sys.stderr)
    # As bytes: the tables of letters are UTF-8, whatever the terminal is set to.
    sys.stdout.flush()
    sys.stdout.buffer.write(mas_document(providers).encode())
    return 0


MAS_CONFIG: Final = Command(
    name="mas-config",
    summary="print the mapping of claims for the Matrix Authentication Service",
    description="Reads `oidc_providers` of homeserver.yaml and prints the same as `upstream_oauth2` for the Matrix"
    " Authentication Service. What that can't express is printed to stderr, rule by rule, and as comments.",
    add_options=_add_options,
    run=_run,
)
