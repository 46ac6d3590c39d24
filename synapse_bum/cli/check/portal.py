"""What the portal module leaves open, what of it does not fit homeserver.yaml, and whether its secrets are safe."""

import ipaddress
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.config import SetupError, SharedConfig
from synapse_bum.identifiers import host_of_header
from synapse_bum.portal.config import PortalConfig
from synapse_bum.portal.sessions.sealing import read_keys
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.secret_store import read_secret_file

_OF_CLUSTERS: Final = (".svc", ".svc.cluster.local")


def portal_remarks(config: PortalConfig, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """Looks at how reported faults reach somebody.

    Args:
        config: of the module.
        homeserver: homeserver.yaml.
    """
    email = homeserver.get("email")
    if config.support.email is None:
        yield _warning("`support.email` is not set: reported faults are in the portal only, and nobody is told")
    elif not (isinstance(email, dict) and email.get("notif_from")):
        yield _warning(
            "`support.email` is set, but homeserver.yaml has no section `email` with `notif_from`: Synapse can't send"
            " mail, and reported faults are in the portal only"
        )
    if config.support.email is None and not config.support.contacts:
        yield _warning(
            "`support` has neither `email` nor `contacts`: the accessibility statement has to name somebody to write to"
        )


def reach_remarks(config: PortalConfig, modules: Mapping[str, SharedConfig]) -> Iterator[Remark]:
    """Looks at whether the modules answer under the name by which the portal asks them.

    Args:
        config: of the portal.
        modules: the configurations of all our modules, by name.
    """
    host = host_of_header(urlsplit(config.admin_api_url).netloc)
    deaf = {name: module for name, module in modules.items() if module.admin_hosts and host not in module.admin_hosts}
    said = (
        f"`admin_api_url` leads to `{host}`, which `admin_hosts` of {{}} does not name: unless a proxy writes another"
    )
    for name in [name for name, module in deaf.items() if isinstance(module, RetentionConfig)]:
        del deaf[name]
        yield Remark(
            Level.ERROR,
            f"portal: {said.format(name)} `Host`, the portal can't ask for holds, and neither shows nor deletes users,"
            " rooms and files",
        )
    if deaf:
        yield _warning(f"{said.format(', '.join(deaf))} `Host`, the portal's pages say that these are not set up")
    if not _is_near(host):
        yield _warning(
            f"`admin_api_url` leads to `{host}`, by way of a proxy: unless that believes the `X-Forwarded-For` of this"
            " machine (`set_real_ip_from` in nginx.conf), Synapse takes the logins of all for those of one, and a"
            " stranger's wrong passwords keep everybody out"
        )


def _is_near(host: str) -> bool:
    """Whether this is the machine itself or a name of a cluster, behind which Synapse answers without a proxy."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host or host.endswith(_OF_CLUSTERS)


def secret_remarks(config: PortalConfig) -> Iterator[Remark]:
    """Looks at the files with secrets: whether they can be used, and who can read them.

    Args:
        config: of the module.
    """
    key_path = config.session_key_path
    if key_path is None:
        yield _warning(
            "`session_key_path` is not set: the key lies in the database, and whoever gets a copy of that, such as a"
            " backup, gets the access tokens of the administrators who are logged in"
        )
    else:
        yield from _file_remarks("session_key_path", key_path, lambda: read_keys(key_path))
    if config.mas is not None:
        path = config.mas.client_secret_path
        where = ("mas", "client_secret_path")
        yield from _file_remarks(".".join(where), path, lambda: read_secret_file(path, where))


def _file_remarks(option: str, path: str, read: Callable[[], object]) -> Iterator[Remark]:
    try:
        read()
    except ConfigError as error:
        yield Remark(Level.ERROR, f"portal: {error.msg}")
    except SetupError as error:
        yield Remark(Level.ERROR, f"portal: {error}")
    else:
        if Path(path).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            yield _warning(f"`{option}`: not only the owner of `{path}` can read it; `chmod 400` changes that")


def _warning(text: str) -> Remark:
    return Remark(Level.WARNING, f"portal: {text}")
