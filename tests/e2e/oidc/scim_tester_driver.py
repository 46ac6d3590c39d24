"""Lets scim2-tester judge a SCIM service; run by a Python of its own that has it (`scripts/setup-scim-tester`).

usage: scim_tester_driver.py BASE_URL, with the bearer token on the standard input

Prints a JSON list: `[{"title", "status", "resource", "reason"}]`, one entry for each check.
"""

import json
import sys

import httpx2  # type: ignore[import-not-found]  # in an environment of its own
from scim2_client.engines.httpx2 import SyncSCIMClient  # type: ignore[import-not-found]
from scim2_models import Mutability, Required, Resource  # type: ignore[import-not-found]
from scim2_tester import check_server  # type: ignore[import-not-found]

_TIMEOUT_SECONDS = 30.0


def know_about_external_id() -> None:
    """Tell the client what no schema can: `externalId` is common to all resources (RFC 7643 3.1) and in none of them.

    Here it says whose account it is, so it is needed and stays.
    """
    field = Resource.model_fields["external_id"]
    field.metadata = [one for one in field.metadata if not isinstance(one, Mutability | Required)]
    field.metadata += [Mutability.immutable, Required.true]


def main() -> None:
    """Runs all checks."""
    know_about_external_id()
    token = sys.stdin.readline().strip()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=sys.argv[1], headers=headers, timeout=_TIMEOUT_SECONDS) as client:
        results = check_server(SyncSCIMClient(client))
    told = [
        {
            "title": result.title,
            "status": result.status.name,
            "resource": result.resource_type,
            "reason": str(result.reason),
        }
        for result in results
    ]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
