"""Encrypted attachments that were uploaded beforehand, as a client asks a content scanner about them."""

import json
import os
from collections.abc import Iterator
from typing import Final

from benchmarks.http_connections import Connection, Request
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import MatrixClient

SCAN_PATH: Final = "/_matrix/media_proxy/unstable/scan_encrypted"

MOST_KEYS: Final = 5
"""Under how many keys our content scanner looks into one file for one user within an hour."""

_UPLOAD_PATH: Final = "/_matrix/media/v3/upload"
_STAMP_BYTES: Final = 32


def scan_requests(uploader: MatrixClient, content: bytes, count: int, *, keys: int = 1) -> Iterator[Request]:
    """Upload attachments, and yield requests to scan them that no scanner has seen the like of.

    Every attachment has the same content but for a stamp in its middle: what random bytes cost clamd differs, because
    some look like the beginning of an archive.

    Args:
        uploader: whose files they are.
        content: random bytes.
        count: how many requests.
        keys: how many requests an upload is for, at most `MOST_KEYS`. The first is with the right key. What another
            key makes of random bytes is a file of other random bytes: cheaper than an upload, but not the same scan.
    """
    middle = (len(content) - _STAMP_BYTES) // 2
    with Connection(uploader.base_url, uploader.token or "") as connection:
        for number in range(0, count, keys):
            stamped = content[:middle] + os.urandom(_STAMP_BYTES) + content[middle + _STAMP_BYTES :]
            attachment = encrypted(stamped)
            body = connection.ask(Request("POST", _UPLOAD_PATH, attachment.ciphertext, "application/octet-stream"))
            mxc = json.loads(body)["content_uri"]
            for _ in range(min(keys, count - number)):
                yield Request("POST", SCAN_PATH, json.dumps({"file": attachment.file(mxc)}).encode())
                attachment = attachment.with_wrong_key()
