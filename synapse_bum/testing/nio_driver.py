"""Drives matrix-nio, a Matrix client with end-to-end encryption, for `synapse_bum.testing.encrypted_client`.

A program of its own, run by a Python that has matrix-nio[e2e] 0.26; it imports nothing of this package. It reads one
JSON object a line from its standard input, `{"do": command, "seconds": limit, ...}`, and answers each with one line,
`{"result": ...}` or `{"error": sentence}`. It ends, and removes its folder, when its input ends; after `seconds` of its
command line it ends whatever it does. Files go through the folder: JSON would make them a third larger.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import nio  # type: ignore[import-not-found]  # in an environment of its own
from nio.crypto import decrypt_attachment, encrypt_attachment  # type: ignore[import-not-found]

Json = Any
Command = Callable[..., Awaitable[Json]]

_LONGEST_LINE = 1 << 20
_LONG_POLL_MS = 1000


class DriverError(Exception):
    """The homeserver refused, or the order makes no sense; the text is what the test gets to see."""


def checked(response: Any) -> Any:  # noqa: ANN401 - every answer of nio has a class of its own
    """Return an answer of nio.

    Raises:
        DriverError: it is an error; nio returns these instead of raising them.
    """
    if isinstance(response, nio.ErrorResponse):
        raise DriverError(f"{response.status_code or ''} {response.message}".strip())
    return response


class Device:
    """One user's device: its keys, its rooms, and the files that arrived in them.

    Every device of others is trusted as it comes: the tests are not about verification.
    """

    def __init__(self, homeserver: str, folder: Path) -> None:
        config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        self._client = nio.AsyncClient(homeserver, store_path=str(folder), config=config)
        self._client.add_event_callback(self._on_event, (nio.RoomEncryptedMedia, nio.MegolmEvent))
        self._folder = folder
        self._files: defaultdict[str, deque[Json]] = defaultdict(deque)
        self._syncing: asyncio.Future[None] | None = None
        self._undecrypted: list[tuple[str, Any]] = []
        self.commands: Mapping[str, Command] = {
            "login": self._login,
            "create_room": self._create_room,
            "join": self._join,
            "send_file": self._send_file,
            "wait_for_file": self._wait_for_file,
            "download": self._download,
            "redact": self._redact,
            "sync": self._sync,
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _login(self, user_id: str, token: str) -> Json:
        self._client.access_token = token
        device_id = checked(await self._client.whoami()).device_id
        self._client.restore_login(user_id, device_id, token)
        await self._sync()
        return {"device_id": device_id}

    async def _create_room(self, invite: list[str]) -> Json:
        encryption = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        response = await self._client.room_create(
            preset=nio.RoomPreset.private_chat, invite=invite, initial_state=[encryption]
        )
        room_id = checked(response).room_id
        await self._until_in(room_id)
        return {"room_id": room_id}

    async def _join(self, room_id: str) -> Json:
        checked(await self._client.join(room_id))
        await self._until_in(room_id)

    async def _until_in(self, room_id: str) -> None:
        while room_id not in self._client.rooms or not self._client.rooms[room_id].encrypted:
            await self._sync(_LONG_POLL_MS)

    async def _send_file(self, room_id: str, path: str, name: str, content_type: str) -> Json:
        await self._sync()
        await self._learn_devices(room_id)
        plaintext = await asyncio.to_thread(Path(path).read_bytes)
        # nio's own `upload(encrypt=True)` now and then returns without the keys, when the homeserver answers early.
        ciphertext, keys = encrypt_attachment(plaintext)
        answer, _ = await self._client.upload(lambda *_: [ciphertext], filesize=len(ciphertext))
        file = {**keys, "url": checked(answer).content_uri}
        content = {
            "msgtype": "m.file",
            "body": name,
            "filename": name,
            "info": {"size": len(plaintext), "mimetype": content_type},
            "file": file,
        }
        sent = await self._client.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True)
        return {
            "event_id": checked(sent).event_id,
            "sender": self._client.user_id,
            "file": file,
            "content": content,
        }

    async def _learn_devices(self, room_id: str) -> None:
        """Wait until at least one device of every other member is known: only known devices get the key."""
        members = {member.user_id for member in checked(await self._client.joined_members(room_id)).members}
        while unknown := {
            user
            for user in members - {self._client.user_id}
            if not any(self._client.device_store.active_user_devices(user))
        }:
            self._client.olm.add_changed_users(unknown)
            await self._sync(_LONG_POLL_MS)

    async def _wait_for_file(self, room_id: str) -> Json:
        files = self._files[room_id]
        while not files:
            await self._sync(_LONG_POLL_MS)
        return files.popleft()

    async def _download(self, file: Json) -> Json:
        answer = checked(await self._client.download(file["url"]))
        plaintext = decrypt_attachment(answer.body, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
        path = self._folder / "download"
        await asyncio.to_thread(path.write_bytes, plaintext)
        return {"path": str(path)}

    async def _redact(self, room_id: str, event_id: str) -> Json:
        return {"event_id": checked(await self._client.room_redact(room_id, event_id)).event_id}

    async def _sync(self, wait_ms: int = 0) -> None:
        """Sync once, to the end even when the order's time is over: half a sync would lose what it brought."""
        if self._syncing is not None:
            await asyncio.wait([self._syncing])
        self._syncing = asyncio.ensure_future(self._sync_once(wait_ms))
        await asyncio.shield(self._syncing)

    async def _sync_once(self, wait_ms: int) -> None:
        """Sync, and send what keeps the encryption going, as nio's own endless loop does."""
        client = self._client
        checked(await client.sync(timeout=wait_ms))
        if client.should_upload_keys:
            checked(await client.keys_upload())
        if client.should_query_keys:
            checked(await client.keys_query())
        if client.should_claim_keys:
            checked(await client.keys_claim(client.get_users_for_key_claiming()))
        await client.send_to_device_messages()
        # The key of a message may come after it, above all from another server.
        waiting, self._undecrypted = self._undecrypted, []
        for room_id, event in waiting:
            self._take(room_id, event)

    async def _on_event(self, room: Any, event: Any) -> None:  # noqa: ANN401 - nio is not typed here
        self._take(room.room_id, event)

    def _take(self, room_id: str, event: Any) -> None:  # noqa: ANN401 - nio is not typed here
        if isinstance(event, nio.MegolmEvent):
            try:
                event = self._client.decrypt_event(event)
            except nio.EncryptionError:
                self._undecrypted.append((room_id, event))
                return
        if isinstance(event, nio.RoomEncryptedMedia) and event.decrypted and event.sender != self._client.user_id:
            content = event.source["content"]
            found = {"event_id": event.event_id, "sender": event.sender, "file": content["file"], "content": content}
            self._files[room_id].append(found)


async def answer_one(device: Device, line: bytes) -> Json:
    """Carry out one order; every failure becomes an answer."""
    order = json.loads(line)
    name, seconds = order.pop("do"), order.pop("seconds")
    try:
        return {"result": await asyncio.wait_for(device.commands[name](**order), seconds)}
    except asyncio.TimeoutError:
        return {"error": f"{name}: not done after {seconds:g} s"}
    except Exception as error:  # noqa: BLE001 - the test that gave the order gets every failure
        return {"error": f"{name}: {type(error).__name__}: {error}"}


async def serve(homeserver: str, folder: Path) -> None:
    """Answer orders until there are no more."""
    orders = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    device = Device(homeserver, folder)
    try:
        async for line in orders:
            sys.stdout.write(json.dumps(await answer_one(device, line)) + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever gave the order has gone: there are no more
    finally:
        await device.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Drive matrix-nio by JSON lines on standard input and output.")
    parser.add_argument("homeserver", help="base URL")
    parser.add_argument("folder", type=Path, help="for keys and files; removed in the end")
    parser.add_argument("seconds", type=int, help="how long to live at most")
    arguments = parser.parse_args()
    signal.alarm(arguments.seconds)
    asyncio.run(serve(arguments.homeserver, arguments.folder))
    # After a failure the folder stays: its last words are in there.
    shutil.rmtree(arguments.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
