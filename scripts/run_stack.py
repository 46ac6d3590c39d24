"""The whole service on this machine, until Ctrl-C: two organisations, all modules on every process, nginx before them.

`make stack` runs it. Everything listens on the loopback interface alone and is gone when it ends.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from synapse_bum.rest import BASE
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.service_stack import PASSWORD, ServiceStack

# Debian keeps servers off the PATH of ordinary users.
_SERVER_FOLDERS = ("/usr/local/sbin", "/usr/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))


def main() -> int:
    """Run it; returns the exit status."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SERVER_FOLDERS])
    for missing in (RealClamd.missing(), RealNginx.missing()):
        if missing is not None:
            print(missing, file=sys.stderr)
            return 1
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    print(
        "starting PostgreSQL, Redis, clamd, nginx, five processes of Synapse and the other organisation ...", flush=True
    )
    with ServiceStack() as stack:
        print(announcement(stack), flush=True)
        over.wait()
        print("stopping ...", flush=True)
    return 0


def announcement(stack: ServiceStack) -> str:
    """Make accounts; returns what a person has to know to use the stack."""
    boss, alice, bob = stack.register("boss", admin=True), stack.register("alice"), stack.register("bob")
    carla = stack.there.register("carla", password=PASSWORD)
    partner = f"{stack.admin_url}{BASE}/federation/partners/{stack.there.server_name}"
    processes = "\n".join(f"  {name:10} {url}  {stack.processes[name].log_path}" for name, url in stack.urls.items())
    host = stack.places.admin_host
    return f"""\
ready after {stack.start_seconds:.1f} s

Our organisation, {stack.server_name}
  clients        {stack.client_url}
  administrators {stack.admin_url}
  portal         {stack.admin_url}/_synapse/client/bum/portal/ with the host name {host}:
                 a browser needs TLS and that name for the portal's cookies
  accounts       {alice.client.user_id}, {bob.client.user_id}; administrator {boss.client.user_id}
  password       {PASSWORD}
The other organisation, {stack.there.server_name}
  clients        {stack.there.base_url}
  account        {carla.user_id}, the same password

They are no partners yet. With an administrator's token:
  curl -X PUT -H "Authorization: Bearer {boss.client.token}" -d '{{"reason": "a contract"}}' {partner}

Processes, past nginx, and their logs
{processes}

Ctrl-C ends everything."""


if __name__ == "__main__":
    sys.exit(main())
