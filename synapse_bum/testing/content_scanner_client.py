"""A client of the content scanner API (MSC1453) on a real homeserver, as apps of the BundesMessenger ask it."""

from collections.abc import Mapping
from typing import Any, Final

import attr

from synapse_bum.testing.encrypted_files import Attachment
from synapse_bum.testing.http_client import DEFAULT_TIMEOUT_SECONDS, MatrixClient, Response, mxc_path

PATH: Final = "/_matrix/media_proxy/unstable"

CLEAN: Final = {"clean": True, "info": "File is clean"}
INFECTED: Final = {"clean": False, "info": "***VIRUS DETECTED***"}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StoredAttachment:
    """An encrypted file on the homeserver.

    Attributes:
        mxc: its URI.
        attachment: its content and key.
    """

    mxc: str
    attachment: Attachment

    @property
    def file(self) -> dict[str, Any]:
        """The `EncryptedFile` with the right key."""
        return self.attachment.file(self.mxc)

    @property
    def wrong_file(self) -> dict[str, Any]:
        """The `EncryptedFile` with a key that gives noise, another one each time."""
        return self.attachment.with_wrong_key().file(self.mxc)


class ContentScannerClient(MatrixClient):
    """A logged-in user whose app has its files scanned."""

    @classmethod
    def of(cls, user: MatrixClient, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> "ContentScannerClient":
        """The same user with the content scanner.

        Args:
            user: logged in.
            timeout: seconds for each wait for bytes of a response.
        """
        return cls(user.base_url, user.user_id, user.token or "", timeout)

    def store(self, attachment: Attachment) -> StoredAttachment:
        """Upload an encrypted file.

        Raises:
            KeyError: the homeserver did not take it.
        """
        return StoredAttachment(self.upload(attachment.ciphertext).json["content_uri"], attachment)

    def public_key(self) -> str:
        """The key for which request bodies are encrypted."""
        key: str = self.get(f"{PATH}/public_key").json["public_key"]
        return key

    def scan(self, mxc: str) -> Response:
        """Ask about a file without a key."""
        return self.get(f"{PATH}/scan/{mxc_path(mxc)}")

    def scan_encrypted(self, file: Mapping[str, Any]) -> Response:
        """Ask about an encrypted file."""
        return self.post(f"{PATH}/scan_encrypted", {"file": file})

    def download_encrypted(self, file: Mapping[str, Any], *, part: str | None = None) -> Response:
        """Download an encrypted file when it is clean.

        Args:
            file: the `EncryptedFile`.
            part: the header `Range`.
        """
        headers = {} if part is None else {"Range": part}
        return self.request("POST", f"{PATH}/download_encrypted", json_body={"file": file}, headers=headers)
