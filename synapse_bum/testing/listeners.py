"""Listener configuration for tests with Synapse's `HomeserverTestCase`.

Its site is called like the server (`test`) and belongs to no listener, so that our resources, which answer only where a
listener serves `client` or `media`, would answer 404 everywhere.
"""

from collections.abc import Mapping
from typing import Any


def listener(*resources: str, tag: str = "test") -> Mapping[str, Any]:
    """Returns one HTTP listener for the `listeners` of a homeserver configuration.

    Args:
        *resources: names such as `client`, `media`, `metrics`.
        tag: the name of the site in the test case: the server name.
    """
    return {"port": 0, "type": "http", "tag": tag, "resources": [{"names": list(resources)}]}
