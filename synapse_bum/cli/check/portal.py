"""What the portal module leaves open, what of it does not fit homeserver.yaml, and whether its secrets are safe."""

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.proxy.remarks import is_near
from synapse_bum.cli.check.remark import Remark, error, note, warning
from synapse_bum.config import SetupError, SharedConfig
from synapse_bum.identifiers import host_of_header
from synapse_bum.portal.config import PortalConfig
from synapse_bum.portal.sessions.sealing import read_keys
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.secret_store import read_secret_file


def portal_remarks(config: PortalConfig, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """Looks at how reported faults reach somebody.

    Args:
        config: of the module.
        homeserver: homeserver.yaml.
    """
    email = homeserver.get("email")
    if config.support.email is None:
        yield warning(
            Check.PORTAL_SUPPORT,
            "`support.email` is not set: reported faults are in the portal only, and nobody is told",
        )
    elif not (isinstance(email, dict) and email.get("notif_from")):
        yield warning(
            Check.PORTAL_MAIL,
            "`support.email` is set, but homeserver.yaml has no section `email` with `notif_from`: Synapse can't send"
            " mail, and reported faults are in the portal only",
        )
    if config.support.email is None and not config.support.contacts:
        yield warning(
            Check.PORTAL_SUPPORT,
            "`support` has neither `email` nor `contacts`: the accessibility statement has to name somebody to"
            " write to",
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
        yield error(
            Check.PORTAL_REACH,
            f"{said.format(name)} `Host`, the portal can't ask for holds, and neither shows nor deletes users,"
            " rooms and files",
        )
    if deaf:
        yield warning(
            Check.PORTAL_REACH,
            f"{said.format(', '.join(deaf))} `Host`, the portal's pages say that these are not set up",
        )


def way_remarks(modules: Mapping[str, SharedConfig], *, proxy_is_known: bool) -> Iterator[Remark]:
    """Looks at whether the portal's own requests come by way of a proxy that nobody has looked at. Pure.

    Args:
        modules: the configurations of all our modules, by name.
        proxy_is_known: whether the proxy's configuration is looked at too.
    """
    for config in modules.values():
        host = host_of_header(urlsplit(config.admin_api_url).netloc) if isinstance(config, PortalConfig) else ""
        if host and not proxy_is_known and not is_near(host):
            yield note(
                Check.PORTAL_PROXY,
                f"`admin_api_url` leads to `{host}`, by way of a proxy: unless that believes the `X-Forwarded-For` of"
                " this machine (`set_real_ip_from` in nginx.conf), Synapse takes the logins of all for those of one,"
                " and a stranger's wrong passwords keep everybody out",
                remedy=Check.PORTAL_PROXY.remedy,
            )


def secret_remarks(config: PortalConfig) -> Iterator[Remark]:
    """Looks at the files with secrets: whether they can be used, and who can read them.

    Args:
        config: of the module.
    """
    key_path = config.session_key_path
    if key_path is None:
        yield warning(
            Check.PORTAL_KEY,
            "`session_key_path` is not set: the key lies in the database, and whoever gets a copy of that, such as a"
            " backup, gets the access tokens of the administrators who are logged in",
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
    except ConfigError as failure:
        yield error(Check.PORTAL_KEY, failure.msg)
    except SetupError as failure:
        yield error(Check.PORTAL_KEY, str(failure))
    else:
        if Path(path).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            yield warning(
                Check.PORTAL_KEY, f"`{option}`: not only the owner of `{path}` can read it; `chmod 400` changes that"
            )
