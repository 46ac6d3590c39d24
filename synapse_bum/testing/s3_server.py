"""`RealS3`: an S3 service on the loopback interface (moto's server), and Synapse's storage provider for it.

The provider `synapse-s3-storage-provider` can't be a dependency of the tests: it requires `psycopg2`, which has to be
compiled and holds the same module as `psycopg2-binary`. So it is fetched without its dependencies, once.
"""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from synapse.module_api import ModuleApi

from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port

PROVIDER_VERSION: Final = "1.7.0" if hasattr(ModuleApi, "defer_to_threadpool") else "1.5.0"
"""From 1.6.0 on it needs a method that the `ModuleApi` of Synapse 1.133 lacks."""

_START_SECONDS: Final = 120.0
_FETCH_SECONDS: Final = 120.0


class RealS3(LocalServer):
    """An S3 service in memory with one bucket; it checks no signature. Needs `moto[s3]`, Flask and flask-cors.

    Attributes:
        endpoint: its URL.
        bucket: name of the bucket.
    """

    def __init__(self, bucket: str = "media") -> None:
        super().__init__("s3", _START_SECONDS)
        self._port = free_port()
        self.endpoint = f"http://{LOOPBACK}:{self._port}"
        self.bucket = bucket

    def start(self) -> None:
        """Start the server and make the bucket."""
        super().start()
        self._ask("PUT", "")

    def keep_versions(self) -> None:
        """Have the bucket keep what is overwritten or deleted."""
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self._ask("PUT", "?versioning", body)

    def keys(self) -> list[str]:
        """Keys of all objects that can be read, sorted."""
        return self._found("?list-type=2", "Contents")

    def versions(self) -> list[str]:
        """Keys of everything that the bucket keeps, one for each version or marker."""
        return sorted(self._found("?versions", "Version") + self._found("?versions", "DeleteMarker"))

    def storage_provider(self, prefix: str = "") -> Mapping[str, Any]:
        """The section `media_storage_providers` of a homeserver that copies everything here."""
        return {
            "module": "s3_storage_provider.S3StorageProviderBackend",
            "store_local": True,
            "store_remote": True,
            "store_synchronous": True,
            "config": {
                "bucket": self.bucket,
                "prefix": prefix,
                "region_name": "us-east-1",
                "endpoint_url": self.endpoint,
                "access_key_id": "any",
                "secret_access_key": "any",
            },
        }

    def _ask(self, method: str, query: str, body: bytes = b"") -> bytes:
        answer = HttpClient(self.endpoint).request(method, f"/{self.bucket}{query}", body=body)
        if answer.status != HTTPStatus.OK:
            raise ServerError(f"S3 answered {answer.status} to {method} {query}: {answer.body[:500]!r}")
        return answer.body

    def _found(self, query: str, element: str) -> list[str]:
        root = ET.fromstring(self._ask("GET", query))  # noqa: S314 - of the server that we have started
        namespace = root.tag.partition("}")[0] + "}"
        return sorted(found.findtext(f"{namespace}Key", "") for found in root.iter(f"{namespace}{element}"))

    def _prepare(self) -> Sequence[str]:
        return [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(self._port)]

    def _is_ready(self) -> bool:
        return HttpClient(self.endpoint, timeout=2).get("/").status == HTTPStatus.OK


def fetch_provider(folder: Path) -> Path:
    """Fetch the storage provider with pip, unless it is there already.

    Args:
        folder: where to keep it; a folder for each version is made inside.

    Returns:
        A folder for `PYTHONPATH`.

    Raises:
        ServerError: pip could not get it; the text says why.
    """
    target = folder / PROVIDER_VERSION
    if (target / "s3_storage_provider.py").exists():
        return target
    wanted = f"synapse-s3-storage-provider=={PROVIDER_VERSION}"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, wanted],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ServerError(f"{wanted} can't be had: {done.stderr[-1000:]}")
    return target
