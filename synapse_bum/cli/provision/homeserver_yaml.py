"""homeserver.yaml of a new homeserver: the sample with the order's names, and over it what the contract says. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from synapse_bum.cli.provision.filling import filled_values, sample
from synapse_bum.cli.provision.order import IdentityProviderOrder, Order, overlaid
from synapse_bum.cli.provision.processes import MEDIA, SENDER, Processes

_LOOPBACK: Final = "127.0.0.1"

_HEAD: Final = """\
# homeserver.yaml of {server}, made by `synapse-bum provision`. From here on it is yours: nothing writes it again.
# `synapse-bum check -c {folder}/homeserver.yaml` says what does not fit after a change.
# What the keys of the modules mean: README.md of synapse_bum. No secret stands here: {folder}/secrets has them.
"""

_COMMENTS: Final[Mapping[str, str]] = {
    "server_name": "It is in every user id, and can never be changed.",
    "log_config": "Without `disable_existing_loggers: false` in that file Python silences the modules.",
    "listeners": "nginx in front of them: nginx/matrix.conf beside this file.",
    "instance_map": "Workers: each has a file in workers/ beside this one.",
    "database": "The password, if there is one, is in the file that libpq reads (`passfile`).",
    "media_store_path": "Only the process with the media repository needs it.",
    "room_list_publication_rules": "Who makes a room may publish it; without this line nobody can.",
    "allow_public_rooms_over_federation": "With true, partners find published rooms too, and nobody else.",
    "user_directory": "Everybody finds everybody; without this, only those with whom he shares a room.",
    "federation_domain_whitelist": "Closed. Partners are added in the portal, or under `partners` of the module.",
    "oidc_providers": "Sign-in. Which role does what is written here; the secret is in a file.",
    "modules": "Messages one year, files 90 days, files of other servers 14 days, 1 GB for each user.",
    "email": "Reported faults and alerts are mailed by Synapse.",
}

_IDP_SAMPLES: Final = {
    "keycloak": "oidc-keycloak.yaml",
    "entra_id": "oidc-entra-id.yaml",
    "okta": "oidc-okta.yaml",
}

_NO_NUMBER: Final = "(noch keine)"
"""What the portal shows as the contract's number."""

PRESETS: Final = tuple(_IDP_SAMPLES)
"""Identity providers that can be ordered."""


def homeserver_yaml(order: Order, processes: Processes) -> str:
    """Write homeserver.yaml."""
    parts = [_HEAD.format(server=order.hosts.server, folder=order.folder)]
    for key, value in settings(order, processes).items():
        comment = f"# {_COMMENTS[key]}\n" if key in _COMMENTS else ""
        parts.append(comment + yaml_text({key: value}))
    return "\n".join(parts)


def yaml_text(value: Mapping[str, Any]) -> str:
    """Write YAML in the order of the keys."""
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=110)


def settings(order: Order, processes: Processes) -> dict[str, Any]:
    """Everything that stands in homeserver.yaml."""
    found: dict[str, Any] = filled_values(yaml.safe_load(sample("homeserver.yaml")), order)
    folder = order.folder
    return {
        **found,
        "form_secret_path": f"{folder}/secrets/form_secret",
        "admin_contact": f"mailto:{order.support_email}",
        "listeners": _listeners(processes),
        **(_for_workers(order, processes) if processes.workers else {}),
        "database": _database(order),
        # As the BundesMessenger has it: who makes a room has it encrypted, unless he chooses otherwise.
        "encryption_enabled_by_default_for_room_type": "all",
        "presence": {"enabled": False},
        "enable_registration": False,
        # Synapse's own: nobody publishes a room, and people find those alone with whom they share one.
        "room_list_publication_rules": [{"action": "allow"}],
        "allow_public_rooms_without_auth": False,
        "allow_public_rooms_over_federation": False,
        "user_directory": {"enabled": True, "search_all_users": True, "prefer_local_users": True},
        "federation_domain_whitelist": [],
        **_sign_in(order),
        "email": {
            **found.get("email", {}),
            "smtp_host": order.smtp[0],
            "smtp_port": order.smtp[1],
            "notif_from": f"Messenger <{order.mail_from}>",
        },
        "modules": _modules(order, found["modules"]),
    }


def _listeners(processes: Processes) -> list[dict[str, Any]]:
    listeners = [
        listener(processes.port, "client", "federation"),
        listener(processes.metrics_port, "metrics"),
    ]
    if processes.workers:
        listeners.append(listener(processes.replication_port, "replication"))
    return listeners


def listener(port: int, *names: str) -> dict[str, Any]:
    """One listener on the loopback interface."""
    forwarded = {"x_forwarded": True} if "client" in names or "media" in names else {}
    return {
        "port": port,
        "type": "http",
        "tls": False,
        **forwarded,
        "bind_addresses": [_LOOPBACK],
        "resources": [{"names": list(names)}],
    }


def _for_workers(order: Order, processes: Processes) -> dict[str, Any]:
    return {
        "instance_map": {"main": {"host": _LOOPBACK, "port": processes.replication_port}},
        "worker_replication_secret_path": f"{order.folder}/secrets/worker_replication_secret",
        "redis": {"enabled": True, "host": order.redis[0], "port": order.redis[1]},
        "federation_sender_instances": [SENDER],
        "media_instance_running_background_jobs": MEDIA,
        "enable_media_repo": False,
    }


def _database(order: Order) -> dict[str, Any]:
    if order.database is None:
        return {"name": "sqlite3", "args": {"database": f"{order.folder}/data/homeserver.db"}}
    passfile = {} if order.database_password is None else {"passfile": f"{order.folder}/secrets/pgpass"}
    return {"name": "psycopg2", "args": {**order.database, **passfile, "cp_min": 5, "cp_max": 10}}


def _sign_in(order: Order) -> dict[str, Any]:
    wanted = order.identity_provider
    if wanted is None:
        return {}
    provider = filled_values(yaml.safe_load(sample(_IDP_SAMPLES[wanted.preset])), order)["oidc_providers"][0]
    provider.update(
        issuer=wanted.issuer,
        client_id=wanted.client_id,
        client_secret_path=f"{order.folder}/secrets/identity-provider-client-secret",
        idp_name="Anmeldedienst",
    )
    portal = f"https://{order.hosts.portal}/_synapse/client/bum/portal/"
    provider["user_mapping_provider"]["config"] = _mapping(wanted, provider["user_mapping_provider"]["config"])
    return {"oidc_providers": [provider], "sso": {"client_whitelist": [portal]}}


def _mapping(wanted: IdentityProviderOrder, of_sample: Mapping[str, Any]) -> dict[str, Any]:
    """What the sample says of this kind of provider, with the customer's names and without the example's."""
    config = {key: value for key, value in of_sample.items() if key not in {"tenant", "client_id"}}
    config.update(admin_roles=list(wanted.admin_roles), required_roles=list(wanted.required_roles))
    if "client_id" in of_sample:
        config["client_id"] = wanted.client_id
    if wanted.tenant is not None:
        config["tenant"] = wanted.tenant
    return config


def _modules(order: Order, of_sample: list[dict[str, Any]]) -> list[dict[str, Any]]:
    configs = {entry["module"]: entry["config"] for entry in of_sample}
    for name, config in _contract(order).items():
        shared = {"admin_hosts": [order.hosts.admin]}
        configs[name] = overlaid(configs.get(name, {}), {**config, **shared})
    return [{"module": name, "config": config} for name, config in configs.items()]


def _contract(order: Order) -> dict[str, dict[str, Any]]:
    """What is promised, beyond what the sample has."""
    zone = {"timezone": order.timezone}
    begin = order.begin.isoformat()
    # Without a number too: the portal tells when the contract can end, as the handover mail does.
    contract = {"number": order.contract_number or _NO_NUMBER, "begin": begin}
    identity: dict[str, dict[str, Any]] = (
        {} if order.identity_provider is None else {"synapse_bum.oidc.OidcModule": {"admin_sync": True}}
    )
    return {
        "synapse_bum.antivirus.AntivirusModule": {"require_scan": True},
        "synapse_bum.retention.RetentionModule": zone,
        "synapse_bum.recovery.RecoveryModule": {"log_path": f"{order.folder}/records/recovery.jsonl"},
        "synapse_bum.storage.StorageModule": {
            "included_gb_per_user": 1,
            "alert_email": order.support_email,
            "exclude_users": [f"@probe-*:{order.hosts.server}"],
            **zone,
        },
        "synapse_bum.federation.FederationModule": {"partners": {}},
        "synapse_bum.availability.AvailabilityModule": {
            "target": 0.999,
            "probe_token_path": f"{order.folder}/secrets/probe-token",
            "service_begin": begin,
            **zone,
        },
        **identity,
        "synapse_bum.portal.PortalModule": {
            "hosts": [order.hosts.portal],
            "admin_api_url": f"https://{order.hosts.admin}",
            "session_key_path": f"{order.folder}/secrets/portal-session-keys",
            "support": {
                "contacts": [{"name": "Support", "task": "Fragen und Störungen", "email": order.support_email}],
                "email": order.support_email,
            },
            "contract": contract,
        },
    }
