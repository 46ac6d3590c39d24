"""A real browser, Chromium, as a test sees it: blocking, bounded in time, and with axe-core to look for barriers.

Playwright lives in an environment of its own (`scripts/setup-browser` makes it and prints its Python);
`browser_driver.py` runs there as a child process and ends with its parent.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from typing_extensions import Self

_DRIVER: Final = Path(__file__).with_name("browser_driver.py")
_LIFETIME_SECONDS: Final = 600
_END_SECONDS: Final = 20.0
_STANDARDS: Final = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
_COLOURS: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""All rules of these standards that look at colours."""
_LOADED_ANEW: Final = "Execution context was destroyed"
_AXE_IS_THERE: Final = "typeof axe === 'object'"
_FIND_VIOLATIONS: Final = """
async (rules) => {
    const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
    return found.violations.map(v => v.id + ": " + v.nodes.map(n => n.html.slice(0, 160)).join(" | "));
}
"""


class BrowserError(Exception):
    """Something did not happen in time, or the browser has ended; the text says what."""


class RealBrowser:
    """One window of Chromium, in German.

    Example::

        with RealBrowser(browser_python, {"admin.example": port}) as browser:
            browser.open("https://admin.example/")
            browser.run("page.get_by_label('Passwort').fill(password)", password="secret")
            browser.run("page.get_by_role('button', name='Anmelden').click()")
            assert browser.violations() == []
    """

    def __init__(self, python: str, hosts: Mapping[str, int]) -> None:
        """Prepares; entering the context starts it.

        Args:
            python: one that has Playwright.
            hosts: to which port of this machine the connections to a host go; there are no other hosts. Certificates
                are not checked: nobody has signed those of a test.
        """
        self._hosts = hosts
        self._python = python
        self._axe = (Path(python).parent.parent / "axe.min.js").read_text(encoding="utf-8")
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__

    def __enter__(self) -> Self:
        command = [self._python, str(_DRIVER), "--chromium", shutil.which("chromium") or "chromium"]
        command += ["--seconds", str(_LIFETIME_SECONDS)]
        for host, port in self._hosts.items():
            command += ["--map", f"{host}={port}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is not None:
            try:
                process.communicate(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        self._errors.close()

    def run(self, expression: str, **values: object) -> Any:  # noqa: ANN401 - what Playwright returns
        """Evaluates an expression of Playwright's Python API, with `page`, `context` and the values as names.

        Raises:
            BrowserError: it failed; what Playwright says is in the text.
        """
        return self._order(expression, values)

    def forget(self) -> None:
        """Throws the window away with all cookies and opens another one, much faster than another browser."""
        self._order(None, {})

    def _order(self, expression: str | None, values: Mapping[str, object], *, leads_on: bool = False) -> Any:  # noqa: ANN401 - as `run`
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise BrowserError("the browser was not started")
        process.stdin.write(json.dumps({"run": expression, "values": values, "leads_on": leads_on}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise BrowserError(f"the browser has ended: {self._errors.read()}")
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserError(f"{expression}: {answer['error']}")
        return answer["result"]

    def open(self, url: str) -> None:
        """Opens an address and waits until it is there."""
        self.run("page.goto(url)", url=url)

    def wait_for(self, sentence: str) -> None:
        """Waits until a page that loads itself anew shows a sentence."""
        self.run("page.get_by_text(sentence).first.wait_for()", sentence=sentence)

    def text(self) -> str:
        """What can be read on the page."""
        found: str = self.run("page.inner_text('body')")
        return found

    def click(self, name: str, role: str = "button") -> None:
        """Presses the button (or link) with this name and waits for the page that this leads to."""
        click = "page.get_by_role(role, name=name, exact=True).click()"
        self._order(click, {"role": role, "name": name}, leads_on=True)

    def download(self, name: str) -> None:
        """Presses the button with this name, which leads to no page."""
        self.run("page.get_by_role('button', name=name, exact=True).click()", name=name)

    def follow(self, name: str) -> None:
        """Follows the first link with this name in the page's content, wherever menus have the same."""
        link = "page.get_by_role('main').get_by_role('link', name=name, exact=True).first"
        self._order(f"{link}.click()", {"name": name}, leads_on=True)

    def enter(self) -> None:
        """Presses Enter and waits for the page that this leads to, which a key does not do by itself."""
        self._order("page.keyboard.press('Enter')", {}, leads_on=True)

    def fill(self, label: str, value: str) -> None:
        """Types into the field with this label."""
        self.run("page.get_by_label(label, exact=True).fill(value)", label=label, value=value)

    def narrow(self, width: int, base_url: str, *paths: str) -> None:
        """Opens pages in a window as narrow as a phone and asserts that nothing sticks out.

        Args:
            width: in CSS pixels; the window keeps it.
            base_url: what the paths are below, with its slash.
            paths: of the pages.
        """
        self.run("page.set_viewport_size({'width': width, 'height': 740})", width=width)
        for path in paths:
            self.open(f"{base_url}{path}")
            assert self.run("page.evaluate('document.documentElement.scrollWidth')") <= width, path

    def scheme(self, scheme: str) -> None:
        """Makes the browser prefer `light` or `dark` pages."""
        self.run("page.emulate_media(color_scheme=scheme)", scheme=scheme)

    def violations(self, *, only_colours: bool = False) -> list[str]:
        """What axe-core finds on this page against WCAG 2.1 A and AA and good practice.

        Args:
            only_colours: leave out what has nothing to do with colours.
        """
        rules = _COLOURS if only_colours else _STANDARDS
        try:
            return self._judge(rules)
        except BrowserError as e:
            if _LOADED_ANEW not in str(e):
                raise
            # Pages that show progress do that by themselves, some seconds apart.
            self.run("page.wait_for_load_state()")
            return self._judge(rules)

    def _judge(self, rules: Mapping[str, object]) -> list[str]:
        if not self.run("page.evaluate(test)", test=_AXE_IS_THERE):
            self.run("page.evaluate(source)", source=self._axe)
        found: list[str] = self.run("page.evaluate(script, rules)", script=_FIND_VIOLATIONS, rules=rules)
        return found

    def barriers(self) -> list[str]:
        """What it finds in the light and in the dark scheme; these may differ in colours only. Ends in the dark."""
        self.scheme("light")
        found = self.violations()
        self.scheme("dark")
        return found + [f"dark: {violation}" for violation in self.violations(only_colours=True)]

    def screenshot(self, path: Path) -> None:
        """Takes a picture of the whole page."""
        self.run("page.screenshot(path=path, full_page=True)", path=str(path))
