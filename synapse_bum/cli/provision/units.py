"""Units of systemd: the processes, the backup, a mail about what fails, and for another machine the probe. Pure.

Each has the server's name in its own: those of another homeserver on the machine are never replaced.
"""

from pathlib import PurePath
from typing import Final

from synapse_bum.cli.provision.filling import filled, replaced, sample
from synapse_bum.cli.provision.order import Order
from synapse_bum.cli.provision.processes import Processes

_UNIT: Final = """\
# {description} of {server}. Made by `synapse-bum provision`; copy it to /etc/systemd/system/.
[Unit]
Description={description} of {server}
After=network-online.target{after}
Wants=network-online.target
PartOf={target}
OnFailure={failed}
{requires}
[Service]
Type=notify
User={user}
{environment}WorkingDirectory={folder}
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
# After a restore of the database much may have to be done before Synapse says that it is there.
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=3
# Files that Synapse writes are for its own user only.
UMask=0077
NoNewPrivileges=yes
PrivateTmp={private_tmp}
ProtectSystem=strict
ProtectHome={protect_home}
ReadWritePaths={folder}/data {folder}/log {folder}/records
LimitNOFILE=65536

[Install]
WantedBy={target}
"""

_TARGET: Final = """\
# All processes of {server}: `systemctl start {target}`. Made by `synapse-bum provision`.
[Unit]
Description=Messenger {server}
Wants={units}

[Install]
WantedBy=multi-user.target
"""

_HOMES: Final = ("/home", "/root", "/run/user")
_TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 - what `PrivateTmp` hides; nothing is written there

_FAILED: Final = "synapse-bum-failed@.service"
_STARTS_IT: Final = "synapse-bum-failed@%n.service"

# What restic shall have beside homeserver.yaml and what that names.
_INCLUDED: Final = ("workers", "systemd", "nginx", "clamav", "dns", "well-known", "probe")


def target_name(order: Order) -> str:
    """The name of the target with all processes."""
    return f"{_stem(order)}.target"


def backup_timers(order: Order) -> tuple[str, str]:
    """The names of the timers of the backup, and of its proof."""
    return f"{_stem(order)}-backup.timer", f"{_stem(order)}-backup-verify.timer"


def unit_files(order: Order, processes: Processes) -> dict[str, str]:
    """Write all units.

    Returns:
        The contents by path below the folder.
    """
    return {
        **_process_units(order, processes),
        **_backup_units(order, processes),
        f"systemd/{_stem(order)}-failed@.service": filled(sample(_FAILED), order, {_STARTS_IT: _failed(order)}),
        **_probe_units(order),
    }


def _stem(order: Order) -> str:
    return f"synapse-bum-{order.hosts.server}"


def _failed(order: Order) -> str:
    """What a unit starts when it fails."""
    return f"{_stem(order)}-failed@%n.service"


def _process_units(order: Order, processes: Processes) -> dict[str, str]:
    homeserver = f"--config-path={order.folder}/homeserver.yaml"
    start = f"{order.python} -m synapse.app"
    target = target_name(order)
    shared = {
        "server": order.hosts.server,
        "target": target,
        "failed": _failed(order),
        "user": order.user,
        "folder": str(order.folder),
        "protect_home": _unless(order, _HOMES),
        "private_tmp": _unless(order, _TEMPORARY),
        "environment": _environment(order),
    }
    main = f"{_stem(order)}.service"
    files = {
        f"systemd/{main}": _UNIT.format(
            description="Messenger",
            start=f"{start}.homeserver {homeserver}",
            after=" postgresql.service clamav-daemon.service",
            requires="",
            **shared,
        )
    }
    units = [main]
    if processes.workers:
        worker_file = f"--config-path={order.folder}/workers/%i.yaml"
        files[f"systemd/{_stem(order)}-worker@.service"] = _UNIT.format(
            description="Worker %i",
            start=f"{start}.generic_worker {homeserver} {worker_file}",
            after=f" {main} redis-server.service",
            requires=f"Requires={main}\n",
            **shared,
        )
        units += [f"{_stem(order)}-worker@{worker.name}.service" for worker in processes.workers]
    files[f"systemd/{target}"] = _TARGET.format(server=order.hosts.server, target=target, units=" ".join(units))
    return files


def _backup_units(order: Order, processes: Processes) -> dict[str, str]:
    """A timer for the backup of each night, one for the proof of each week; both have to be set up first."""
    server, folder = order.hosts.server, order.folder
    files = {}
    for kind, timer in zip(("backup", "backup-verify"), backup_timers(order), strict=True):
        service = sample(f"synapse-bum-{kind}.service")
        if kind == "backup":
            included = [f"{folder}/{name}" for name in _INCLUDED if name != "workers" or processes.workers]
            lines = "".join(f"    --include {path} \\\n" for path in included)
            service = replaced(service, "    --include /etc/matrix-synapse \\\n", lines)
        service = replaced(service, "User=matrix-synapse\n", f"User={order.user}\n{_environment(order)}")
        service = replaced(service, "ProtectHome=yes\n", f"ProtectHome={_unless(order, _HOMES)}\n")
        service = replaced(service, "PrivateTmp=yes\n", f"PrivateTmp={_unless(order, _TEMPORARY)}\n")
        own = {
            "/opt/venvs/matrix-synapse/bin/synapse-bum": f"{order.python} -m synapse_bum",
            "/etc/matrix-synapse/homeserver.yaml": f"{folder}/homeserver.yaml",
            "WorkingDirectory=/var/lib/matrix-synapse": f"WorkingDirectory={folder}",
            "synapse-bum-backup-messenger.example.prom": f"synapse-bum-backup-{server}.prom",
            _STARTS_IT: _failed(order),
            f"synapse-bum-{kind}.timer": timer,
        }
        files[f"systemd/{timer.removesuffix('timer')}service"] = filled(service, order, own)
        files[f"systemd/{timer}"] = filled(sample(f"synapse-bum-{kind}.timer"), order)
    return files


def _probe_units(order: Order) -> dict[str, str]:
    """For another machine. Without the example of a reference: one that is never reached would excuse every outage."""
    server = order.hosts.server
    service = replaced(sample("synapse-bum-probe.service"), "    --reference-url https://www.bund.example \\\n", "")
    own = {
        "/etc/synapse-bum-probe/": f"/etc/synapse-bum-probe/{server}/",
        "/var/lib/synapse-bum-probe": f"/var/lib/synapse-bum-probe/{server}",
        "StateDirectory=synapse-bum-probe": f"StateDirectory=synapse-bum-probe/{server}",
        "synapse-bum-probe.timer": f"{_stem(order)}-probe.timer",
    }
    return {
        f"probe/{_stem(order)}-probe.service": filled(service, order, own),
        f"probe/{_stem(order)}-probe.timer": filled(sample("synapse-bum-probe.timer"), order),
    }


def _environment(order: Order) -> str:
    return "" if order.python_path is None else f"Environment=PYTHONPATH={order.python_path}\n"


def _unless(order: Order, hidden: tuple[str, ...]) -> str:
    """Whether systemd may hide some folders: not where a process needs something in them."""
    is_needed = any(path.is_relative_to(PurePath(one)) for path in (order.folder, *order.reached) for one in hidden)
    return "no" if is_needed else "yes"
