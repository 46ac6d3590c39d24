"""What is to be done with the new folder, in its order: as docs/bereitstellung.md has it, step by step. Pure."""

from collections.abc import Iterator

from synapse_bum.cli.backup.workroom import default_work_dir
from synapse_bum.cli.provision.order import Order
from synapse_bum.cli.provision.units import backup_timers, target_name


def next_steps(order: Order) -> Iterator[str]:
    """Name them.

    Yields:
        Commands and sentences, of one line each.
    """
    folder, server = order.folder, order.hosts.server
    backups = f"/etc/synapse-bum-backup/{server}"
    yield f"chown -R {order.user}: {' '.join(f'{folder}/{name}' for name in ('secrets', 'data', 'log', 'records'))}"
    yield f"{folder}/clamav/clamd.conf becomes /etc/clamav/clamd.conf, as its first lines say"
    yield (
        f"as {order.user}: synapse-bum check -c {folder}/homeserver.yaml --clamd-conf {folder}/clamav/clamd.conf"
        f" --proxy-config {folder}/nginx/matrix.conf"
    )
    yield (
        f"the records in {folder}/dns; a certificate for {', '.join(order.hosts.distinct)} as /etc/nginx/tls/matrix.pem"
        f" and matrix.key; {folder}/nginx/matrix.conf becomes /etc/nginx/conf.d/{server}.conf"
    )
    yield (
        f"cp {folder}/systemd/* /etc/systemd/system/; systemctl daemon-reload;"
        f" systemctl enable --now {target_name(order)}"
    )
    if order.identity_provider is None:
        who = "NAME" if order.admin_email is None else f"NAME --email {order.admin_email}"
        yield f"synapse-bum provision --first-admin {who} -c {folder}/homeserver.yaml"
    else:
        yield "no first administrator to be made: whoever has the role at the identity provider is one"
    yield f"synapse-bum check --online -c {folder}/homeserver.yaml"
    yield (
        f"backups, which the handover mail promises: password and repository in {backups}/ (docs/backup.md);"
        f" install -d -m 700 -o {order.user} {default_work_dir(server)}; as {order.user} in {folder}:"
        f" synapse-bum backup -c {folder}/homeserver.yaml --repository-file {backups}/repository"
        f" --password-file {backups}/password --init;"
        f" then systemctl enable --now {' '.join(backup_timers(order))}"
    )
    yield f"availability, which it promises too: {folder}/probe on another machine (docs/availability.md)"
    yield f"{folder}/uebergabe.txt is the mail to the customer"
