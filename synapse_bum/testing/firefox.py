"""Firefox without a screen, as a test sees it: blocking and bounded in time.

Playwright drives a Firefox of its own only. So this speaks Marionette itself, the protocol below geckodriver: JSON with
its length before it, over a socket; the commands are those of WebDriver (Mozilla: "Marionette, Protocol"). Run with
Debian's firefox-esr 153.7: ready in 3 s.
"""

import json
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from typing_extensions import Self

from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError

PROGRAM: Final = "firefox-esr"

_START_SECONDS: Final = 120.0  # much more than it takes: machines that run tests are busy
_ANSWER_SECONDS: Final = 60.0
_IMPLICIT_WAIT_MS: Final = 20_000
_ACTIVE_PORT: Final = "MarionetteActivePort"
_STANDARDS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]

# It knows the hosts of the test; all other connections go to a proxy that nobody runs.
_SETTINGS: Final[Mapping[str, object]] = {
    "marionette.port": 0,
    "network.dns.disableIPv6": True,
    "network.proxy.type": 1,
    "network.proxy.http": LOOPBACK,
    "network.proxy.http_port": 9,
    "network.proxy.ssl": LOOPBACK,
    "network.proxy.ssl_port": 9,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "intl.accept_languages": "de",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}

_CONTROL = """
const named = [...document.querySelectorAll('label')].find(each => each.textContent.trim() === arguments[0]);
return named ? named.control : null;
"""
_FIND_VIOLATIONS = """
const [standards, answer] = arguments;
axe.run(document, {runOnly: standards}).then(found => answer(
    found.violations.map(each => each.id + ': ' + each.nodes.map(node => node.html.slice(0, 160)).join(' | '))));
"""


class FirefoxError(Exception):
    """Something did not happen; the text says what."""


class RealFirefox(LocalServer):
    """One window of Debian's Firefox, in German.

    Example::

        with RealFirefox({"admin.example": port}) as firefox:
            firefox.open("https://admin.example/")
            firefox.fill("Passwort", "secret")
            firefox.click("Anmelden")
    """

    def __init__(self, hosts: Mapping[str, int]) -> None:
        """Prepares; entering the context starts it.

        Args:
            hosts: names that mean this machine, and the port of each, which addresses get here: Firefox can't lead
                connections to another one. Certificates are not checked: nobody has signed those of a test.
        """
        super().__init__("firefox", _START_SECONDS)
        self._hosts = hosts
        self._connection: socket.socket | None = None
        self._sent = 0

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._connection = socket.create_connection((LOOPBACK, self._marionette_port()), _ANSWER_SECONDS)
            self._receive()
            timeouts = {"implicit": _IMPLICIT_WAIT_MS}
            self._command("WebDriver:NewSession", acceptInsecureCerts=True, timeouts=timeouts)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        super().__exit__(exc_type, exc, traceback)

    def open(self, url: str) -> None:
        """Opens an address, at the port that its host has here, and waits until it is there."""
        for host, port in self._hosts.items():
            url = url.replace(f"https://{host}/", f"https://{host}:{port}/")
        self._command("WebDriver:Navigate", url=url)

    def text(self) -> str:
        """What can be read on the page."""
        return str(self.run("return document.body.innerText"))

    def click(self, name: str, role: str = "button") -> None:
        """Presses the button (or link) with this text, and waits for the page that it leads to."""
        tag = {"button": "button", "link": "a"}[role]
        found = self._command("WebDriver:FindElement", using="xpath", value=f'//{tag}[normalize-space()="{name}"]')
        self._command("WebDriver:ElementClick", id=_reference(found["value"]))

    def fill(self, label: str, value: str) -> None:
        """Types into the field with this label.

        Raises:
            FirefoxError: there is none.
        """
        control = self.run(_CONTROL, label)
        if control is None:
            raise FirefoxError(f"nothing has the label {label!r}")
        self._command("WebDriver:ElementClear", id=_reference(control))
        self._command("WebDriver:ElementSendKeys", id=_reference(control), text=value)

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - what the script returns
        """Runs a script on the page, with `arguments`; what it returns comes back."""
        answer = self._command("WebDriver:ExecuteScript", script=script, args=list(arguments))
        return answer["value"]

    def violations(self, axe: Path) -> list[str]:
        """What axe-core finds on this page against WCAG 2.1 A and AA.

        Args:
            axe: its file `axe.min.js`.
        """
        self.run(f"{axe.read_text(encoding='utf-8')}; window.axe = axe;")
        answer = self._command("WebDriver:ExecuteAsyncScript", script=_FIND_VIOLATIONS, args=[_STANDARDS])
        found: list[str] = answer["value"]
        return found

    def _prepare(self) -> Sequence[str]:
        program = shutil.which(PROGRAM)
        if program is None:
            raise ServerError(f"{PROGRAM} is not installed: on Debian, `apt-get install {PROGRAM}`")
        names = ",".join(self._hosts)
        settings = {**_SETTINGS, "network.dns.localDomains": names, "network.proxy.no_proxies_on": names}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items()]
        self._profile.mkdir()
        (self._profile / "user.js").write_text("".join(lines))
        return [program, "--headless", "--marionette", "--no-remote", "--profile", str(self._profile)]

    def _environment(self) -> Mapping[str, str]:
        # Its home is its own: it keeps lists of profiles there.
        return {**os.environ, "HOME": str(self.directory), "LANG": "C.UTF-8"}

    @property
    def _profile(self) -> Path:
        return self.directory / "profile"

    def _is_ready(self) -> bool:
        return self._marionette_port() > 0

    def _marionette_port(self) -> int:
        """The port that it chose; 0 before."""
        path = self._profile / _ACTIVE_PORT
        text = path.read_text() if path.exists() else ""
        return int(text or 0)

    def _command(self, name: str, **parameters: object) -> dict[str, Any]:
        """Carries out one command.

        Raises:
            FirefoxError: it failed.
        """
        if self._connection is None:
            raise FirefoxError("the browser was not started")
        self._sent += 1
        content = json.dumps([0, self._sent, name, parameters]).encode()
        self._connection.sendall(b"%d:%s" % (len(content), content))
        _, number, error, result = self._receive()
        if number != self._sent or error is not None:
            raise FirefoxError(f"{name}: {error}")
        answer: dict[str, Any] = result
        return answer

    def _receive(self) -> Any:  # noqa: ANN401 - JSON
        length = b""
        while not length.endswith(b":"):
            length += self._read(1)
        return json.loads(self._read(int(length[:-1])))

    def _read(self, size: int) -> bytes:
        if self._connection is None:
            raise FirefoxError("the browser was not started")
        content = b""
        while len(content) < size:
            received = self._connection.recv(size - len(content))
            if not received:
                raise FirefoxError(f"the browser has ended: {self.log_text()[-2000:]}")
            content += received
        return content


def _reference(element: Mapping[str, str]) -> str:
    """The id of an element (WebDriver, "Elements": an object with one fixed key)."""
    return next(iter(element.values()))
