"""A real nginx with a site of the caller, for tests: own directory, in the foreground, one worker process.

Run with nginx 1.22.1 (Debian's nginx-light): ready in 20 ms.
"""

import os
import shutil
import socket
from collections.abc import Sequence

from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError

_START_SECONDS = 60.0  # much more than it takes: machines that run tests are busy
_CONNECT_SECONDS = 2.0
_TEMPORARY_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

_CONFIGURATION = """\
{user}
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{
    worker_connections 256;
}}
http {{
{folders}
    access_log access.log;
    include site.conf;
}}
"""


class RealNginx(LocalServer):
    """nginx from the distribution.

    Example::

        with RealNginx(f"server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}", port):
            ...

    Attributes:
        site: what stands in `http { }`; may be changed while the server is stopped.
    """

    def __init__(self, site: str, port: int) -> None:
        """Prepare an nginx; `start()` or entering the context starts it.

        Args:
            site: directives for `http { }`. Relative paths are below `directory`.
            port: one that the site listens on at 127.0.0.1; the server is ready when it accepts connections there.
        """
        super().__init__("nginx", _START_SECONDS)
        self.site = site
        self._port = port

    @staticmethod
    def missing() -> str | None:
        """What has to be installed before an nginx can be started, as a sentence; None when nothing is missing."""
        if shutil.which("nginx"):
            return None
        return "nginx is not installed: on Debian and Ubuntu, `apt-get install nginx-light`"

    def _prepare(self) -> Sequence[str]:
        if (missing := self.missing()) is not None:
            raise ServerError(missing)
        # Started by root, it would give its worker a user that can't enter the directory.
        user = "user root;" if os.geteuid() == 0 else ""
        folders = "\n".join(f"    {name}_temp_path {name}_temp;" for name in _TEMPORARY_FOLDERS)
        (self.directory / "nginx.conf").write_text(_CONFIGURATION.format(user=user, folders=folders))
        (self.directory / "site.conf").write_text(self.site)
        return ["nginx", "-e", "stderr", "-p", str(self.directory), "-c", "nginx.conf", "-g", "daemon off;"]

    def _is_ready(self) -> bool:
        with socket.create_connection((LOOPBACK, self._port), _CONNECT_SECONDS):
            return True
