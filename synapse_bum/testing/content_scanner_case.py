"""Requests of clients to the content scanner API of a homeserver in the test's own process."""

import json

from tests.server import FakeChannel

from synapse_bum.testing.antivirus_case import AntivirusTestCase
from synapse_bum.testing.encrypted_files import Attachment, encrypted

BASE = "/_matrix/media_proxy/unstable"
CLEAN = {"clean": True, "info": "File is clean"}
INFECTED = {"clean": False, "info": "***VIRUS DETECTED***"}


class ContentScannerTestCase(AntivirusTestCase):
    """A homeserver with the content scanner, and what clients ask of it."""

    def post(self, name: str, body: object, *, token: str | None = None, content: bytes | None = None) -> FakeChannel:
        """POST a JSON body, or `content` as it is."""
        return self.make_request(
            "POST",
            f"{BASE}/{name}",
            content=json.dumps(body).encode() if content is None else content,
            access_token=self.user_token if token is None else token,
            shorthand=False,
        )

    def get(self, path: str, *, headers: list[tuple[str, str]] | None = None) -> FakeChannel:
        """GET below the base of the API."""
        return self.make_request(
            "GET", f"{BASE}/{path}", access_token=self.user_token, shorthand=False, custom_headers=headers
        )

    def uploaded(self, content: bytes, **options: bytes) -> tuple[str, Attachment]:
        """Encrypt and upload; returns the mxc URI and the attachment."""
        attachment = encrypted(content, **options)
        return self.upload(attachment.ciphertext), attachment

    def scan(self, attachment: Attachment, mxc: str, *, token: str | None = None) -> FakeChannel:
        """Have an encrypted file scanned."""
        return self.post("scan_encrypted", {"file": attachment.file(mxc)}, token=token)

    def assert_refused(self, channel: FakeChannel, status: int, reason: str) -> None:
        """Insist on an error of the API, complete and never cached."""
        assert (channel.code, channel.json_body["reason"]) == (status, reason), channel.json_body
        assert set(channel.json_body) >= {"reason", "info", "errcode", "error"}
        assert "no-store" in str(channel.headers.getRawHeaders("Cache-Control"))
