"""Drives Chromium for `synapse_bum.testing.browser`.

A program of its own, run by a Python that has Playwright; it imports nothing of this package. It reads one JSON object
a line from its standard input, `{"run": expression, "values": {...}, "leads_on": false}`, evaluates the expression with
`page`, `context` and the values as names, and answers with one line, `{"result": ...}` or `{"error": sentence}`. What
is no JSON becomes null. With `leads_on` it also waits for the page that the expression leads to. `run: null` throws the
window away with all cookies and opens another one. It ends when its input ends; after `seconds` of its command line it
ends whatever it does.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
from typing import Any

from playwright.sync_api import sync_playwright  # type: ignore[import-not-found]  # in an environment of its own


def window(browser: Any) -> dict[str, Any]:  # noqa: ANN401 - Playwright has no types here
    """Opens a window that knows nothing yet."""
    context = browser.new_context(ignore_https_errors=True, locale="de-DE", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    return {"context": context, "page": context.new_page()}


def serve(browser: Any) -> None:  # noqa: ANN401 - the same
    """Carries out orders until there are no more."""
    opened = window(browser)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["run"] is None:
                opened["context"].close()
                opened, result = window(browser), None
            else:
                leads_on = opened["page"].expect_navigation() if order["leads_on"] else contextlib.nullcontext()
                with leads_on:
                    # The test that started this asks.
                    result = eval(order["run"], {**opened, **order["values"]})  # noqa: S307
        except Exception as e:  # noqa: BLE001 - the test gets it
            answer: dict[str, Any] = {"error": f"{type(e).__name__}: {e}"}
        else:
            answer = {"result": result}
        print(json.dumps(answer, default=lambda _: None), flush=True)  # noqa: T201 - the answer


def main() -> None:
    """Starts the browser and serves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chromium", required=True)
    parser.add_argument("--map", action="append", default=[], help="host=port: where connections to a host go")
    parser.add_argument("--seconds", type=int, required=True)
    arguments = parser.parse_args()
    signal.alarm(arguments.seconds)
    rules = ",".join(
        f"MAP {host} 127.0.0.1:{port}" for host, _, port in (entry.partition("=") for entry in arguments.map)
    )
    # Root, as in most containers, has no sandbox. Nothing but the hosts of the test can be reached.
    options = ["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules={rules},MAP * ~NOTFOUND"]
    with sync_playwright() as playwright:
        # The language of its own parts, such as fields for days, where they are installed (Debian: chromium-l10n).
        environment = {**os.environ, "LANGUAGE": "de"}
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=options, env=environment)
        serve(browser)
        browser.close()


if __name__ == "__main__":
    main()
