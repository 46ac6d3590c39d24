"""A Matrix client with real end-to-end encryption, as a test sees it: typed, blocking, bounded in time.

The encryption is that of matrix-nio, which lives in an environment of its own (`scripts/setup-nio` makes it and prints
its Python). `nio_driver.py` runs there as a child process and ends with its parent, however that one ends.
"""

import json
import os
import selectors
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import attr
from typing_extensions import Self

from synapse_bum.testing.http_client import Json, MatrixClient

_DRIVER: Final = Path(__file__).with_name("nio_driver.py")
_LIFETIME_SECONDS: Final = 600
_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 10.0  # for the driver to say itself that the time is over
_END_SECONDS: Final = 5.0
_READ_BYTES: Final = 1 << 16


class EncryptedClientError(Exception):
    """The homeserver refused, something did not happen in time, or the client has ended; the text says which."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FileMessage:
    """An encrypted file in a room: Matrix client-server API, "Sending encrypted attachments".

    Attributes:
        event_id: of the `m.room.encrypted` event.
        sender: whose event it is.
        file: the EncryptedFile: `url`, `key`, `iv`, `hashes`, `v`; what a content scanner is asked about.
        content: the whole decrypted content of the `m.room.message`, `body` and `info` for example.
    """

    event_id: str
    sender: str
    file: Json
    content: Json


class EncryptedClient:
    """One user's device with encryption, on the homeserver of an account that a test has registered.

    Example::

        with EncryptedClient(alice, nio_python) as sender, EncryptedClient(bob, nio_python) as reader:
            room_id = sender.create_encrypted_room(invite=[bob.user_id])
            reader.join(room_id)
            sender.send_file(room_id, b"hello", "hello.txt")
            assert reader.download_and_decrypt(reader.wait_for_file(room_id).file) == b"hello"

    Each method ends after a minute at the latest, or after its own `seconds`. Messages are seen only while a
    method runs: nothing syncs in the background.

    Attributes:
        account: the same user without encryption, for requests of other kinds. Its token is this device's.
        device_id: the device that belongs to the token.
    """

    def __init__(self, account: MatrixClient, nio_python: str | Path) -> None:
        """Start the client and publish its keys.

        Args:
            account: homeserver, user and access token. A token is for one client only: keys belong to its device.
            nio_python: a Python that has matrix-nio[e2e]; `scripts/setup-nio` prints one.

        Raises:
            EncryptedClientError: that Python has no matrix-nio, or the homeserver refused the token.
        """
        self.account = account
        self._pending = b""
        self._folder = tempfile.TemporaryDirectory(prefix="bum-nio-", ignore_cleanup_errors=True)
        self._errors_path = Path(self._folder.name, "errors")
        with self._errors_path.open("wb") as errors:
            self._process = subprocess.Popen(
                [str(nio_python), "-I", str(_DRIVER), account.base_url, self._folder.name, str(_LIFETIME_SECONDS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        try:
            self.device_id: str = self._order("login", user_id=account.user_id, token=account.token)["device_id"]
        except BaseException:
            self.close()
            raise

    def create_encrypted_room(self, invite: list[str]) -> str:
        """Create a private room with encryption; returns its id."""
        room_id: str = self._order("create_room", invite=invite)["room_id"]
        return room_id

    def join(self, room_id: str) -> None:
        """Accept an invitation, which may come from another server, and wait until the room is there."""
        self._order("join", room_id=room_id)

    def send_file(
        self,
        room_id: str,
        content: bytes,
        name: str,
        content_type: str = "application/octet-stream",
        seconds: float = _SECONDS,
    ) -> FileMessage:
        """Encrypt and upload a file, and send it to a room as `m.file`.

        Every member of the room needs a device with keys by then: the file waits for those who have none.

        Args:
            room_id: an encrypted room that this user has joined.
            content: the plaintext.
            name: the file's name, which travels encrypted.
            content_type: what the sender says that it is; travels encrypted.
            seconds: limit for all of it.

        Raises:
            EncryptedClientError: upload or event were refused, or it took too long.
        """
        path = Path(self._folder.name, "upload")
        path.write_bytes(content)
        order = {"path": str(path), "name": name, "content_type": content_type}
        return FileMessage(**self._order("send_file", seconds, room_id=room_id, **order))

    def wait_for_file(self, room_id: str, seconds: float = _SECONDS) -> FileMessage:
        """Wait for the next encrypted file of somebody else in a room; each is returned once, in order of arrival.

        Raises:
            EncryptedClientError: none came in time, or none that this device has the key for.
        """
        return FileMessage(**self._order("wait_for_file", seconds, room_id=room_id))

    def download_and_decrypt(self, file: Json, seconds: float = _SECONDS) -> bytes:
        """Download a file as clients without a content scanner do, check its hash, and decrypt it.

        Args:
            file: an EncryptedFile.
            seconds: limit for all of it.

        Raises:
            EncryptedClientError: it is not there (any more), not what was sent, or it took too long.
        """
        path = Path(self._order("download", seconds, file=file)["path"])
        content = path.read_bytes()
        path.unlink()
        return content

    def redact(self, room_id: str, event_id: str) -> None:
        """Remove an event's content for everybody."""
        self._order("redact", room_id=room_id, event_id=event_id)

    def sync(self) -> None:
        """Take note of what has happened on the server until now."""
        self._order("sync")

    def close(self) -> None:
        """End the client; the device and its access token stay."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _order(self, command: str, seconds: float = _SECONDS, /, **arguments: Json) -> Json:
        order = json.dumps({"do": command, "seconds": seconds, **arguments}).encode() + b"\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(order)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        answer = json.loads(self._read_line(time.monotonic() + seconds + _GRACE_SECONDS))
        if "error" in answer:
            raise EncryptedClientError(f"{self.account.user_id}: {answer['error']}")
        return answer["result"]

    def _read_line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self._process.kill()
                    raise EncryptedClientError(f"{self.account.user_id}: the client hangs, and was killed")
                if not (received := os.read(self._process.stdout.fileno(), _READ_BYTES)):
                    raise self._ended()
                self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _ended(self) -> EncryptedClientError:
        self._process.wait()
        words = self._errors_path.read_text(errors="replace").strip() if self._errors_path.exists() else ""
        return EncryptedClientError(f"{self.account.user_id}: the client has ended: {words or '(it said nothing)'}")
