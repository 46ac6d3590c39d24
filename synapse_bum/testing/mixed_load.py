"""What many people do at once with the whole service, and an exact record of what it has promised them.

Everything goes through nginx. Requests may fail while processes die: a failure promises nothing. What was answered
with 200 is recorded, and what must never happen is noted as soon as it happens.
"""

import contextlib
import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

import attr
from typing_extensions import Self

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_client import ContentScannerClient, StoredAttachment
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import HttpClient, MatrixClient, NotJsonError, Response
from synapse_bum.testing.retention_data import DAY_MS, MediaWriter
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.service_stack import Account, ServiceStack

FAILURES: Final = (OSError, HTTPException, NotJsonError)
"""What a request meets whose process is dying."""

_TIMEOUT_S: Final = 20.0
_LARGEST: Final = 200_000
_PAUSE_S: Final = 0.05
_AFTER_FAILURE_S: Final = 0.2
_LIFETIME_MS: Final = 90 * DAY_MS
_MARGIN_MS: Final = 1_000


@attr.s(auto_attribs=True)
class Record:
    """What the service has promised.

    Attributes:
        clean: SHA-256 of the content that was uploaded, by mxc; these must be delivered to the end.
        expires: when each file of `write_old_files` is beyond its lifetime, ms since the epoch; not before that it may
            go, and then it must.
        infected: encrypted files with a virus; nobody may ever get one.
        messages: text of each message by its event id, in the room of both organisations.
        reasons: of each change that an administrator was told is done; the audit log has them all.
        runs: ids of runs of the retention.
        violations: sentences about what must not happen.
        done: how often each kind of thing was done, and how often it failed.
    """

    clean: dict[str, str] = attr.ib(factory=dict)
    expires: dict[str, int] = attr.ib(factory=dict)
    infected: list[StoredAttachment] = attr.ib(factory=list)
    messages: dict[str, str] = attr.ib(factory=dict)
    reasons: set[str] = attr.ib(factory=set)
    runs: set[str] = attr.ib(factory=set)
    violations: list[str] = attr.ib(factory=list)
    done: Counter[str] = attr.ib(factory=Counter)


class MixedLoad:
    """A handful of threads, each of which does one kind of thing over and over; a context manager.

    Attributes:
        record: of what was promised.
    """

    def __init__(self, stack: ServiceStack, admin: Account, people: tuple[MatrixClient, ...], room_id: str) -> None:
        """Nothing is done yet.

        Args:
            stack: it runs.
            admin: an administrator of it.
            people: three users of our organisation.
            room_id: where the first of them sends messages.
        """
        self.record = Record()
        self._stack = stack
        self._admin = HttpClient(admin.admin.base_url, admin.admin.token, timeout=_TIMEOUT_S)
        self._people = [MatrixClient(one.base_url, one.user_id, one.token or "", _TIMEOUT_S) for one in people]
        self._room_id = room_id
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._random = random.Random(4711)  # noqa: S311 - sizes of files
        self._numbers = iter(range(10**9))

    def __enter__(self) -> Self:
        work = (self._upload, self._infect, self._attach, self._talk, self._expire, self._change_partners)
        for one in work:
            thread = threading.Thread(target=self._go_on, args=(one,), name=one.__name__.lstrip("_"), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, work: Callable[[], None]) -> None:
        kind = work.__name__.lstrip("_")
        while not self._over.wait(_PAUSE_S):
            try:
                work()
                self.record.done[kind] += 1
            except FAILURES:
                self.record.done[f"{kind}, failed"] += 1
                self._over.wait(_AFTER_FAILURE_S)
            except BaseException as error:
                self.record.violations.append(f"the load itself failed: {error!r}")
                raise

    def _upload(self) -> None:
        """A clean file, and another one is read again."""
        user = self._people[0]
        # As letters and digits: noise might be ciphertext, and is held.
        content = malware.unique_bytes(self._random.randrange(100, _LARGEST)).hex().encode()
        mxc = accepted(user.upload(content, "text/plain"))
        if mxc is not None:
            self.record.clean[mxc] = hashlib.sha256(content).hexdigest()
        if self.record.clean:
            self.read(user, self._random.choice(list(self.record.clean)))

    def _infect(self) -> None:
        """Infected files, which are refused whatever happens."""
        content = malware.EICAR + malware.unique_bytes(1_000)
        for one in (content, malware.zipped(content)):
            mxc = accepted(self._people[1].upload(one))
            if mxc is not None:
                self.record.violations.append(f"an infected file was taken: {mxc}")

    def _attach(self) -> None:
        """Two encrypted files, an infected one and a clean one."""
        user = ContentScannerClient.of(self._people[1], _TIMEOUT_S)
        virus = encrypted(malware.EICAR + malware.unique_bytes(5_000))
        mxc = accepted(user.upload(virus.ciphertext))
        if mxc is not None:
            stored = StoredAttachment(mxc, virus)
            self.record.infected.append(stored)
            self.try_infected(user, stored)
        picture = encrypted(malware.png(40, 40, next(self._numbers)))
        mxc = accepted(user.upload(picture.ciphertext))
        if mxc is not None and user.scan_encrypted(picture.file(mxc)).json.get("clean"):
            self.record.clean[mxc] = hashlib.sha256(picture.ciphertext).hexdigest()

    def _talk(self) -> None:
        """A message to the other organisation; it is sent until it is taken, as clients do."""
        text = f"Nachricht {next(self._numbers)}"
        while not self._over.is_set():
            with contextlib.suppress(*FAILURES):
                answer = self._people[0].send(
                    self._room_id, "m.room.message", {"msgtype": "m.text", "body": text}, text.replace(" ", "-")
                )
                if answer.status == HTTPStatus.OK:
                    self.record.messages[answer.json["event_id"]] = text
                    return
            self._over.wait(_AFTER_FAILURE_S)

    def _expire(self) -> None:
        """A run that deletes what is beyond its lifetime, and a look at a file that is not."""
        answer = self._admin.post(f"{BASE}/retention/runs", {"confirm": True})
        if answer.status == HTTPStatus.ACCEPTED:
            self.record.runs.add(answer.json["run_id"])
        if self.record.expires:
            self.look_at_old(self._people[2], self._random.choice(list(self.record.expires)))

    def _change_partners(self) -> None:
        """Partners come and go; the reasons are unique, so that each change is found again."""
        path = f"{BASE}/federation/partners/p{self._random.randrange(5)}.example"
        for method in ("PUT", "DELETE"):
            reason = f"Änderung {next(self._numbers)}"
            if self._admin.request(method, path, json_body={"reason": reason}).status != HTTPStatus.OK:
                # One that is still leaving is no partner again; whoever removes it then waits for the removal that was
                # begun before, whose reason stands in the log.
                return
            self.record.reasons.add(reason)

    def write_old_files(self, count: int, seconds: float) -> None:
        """Write files that reach the end of their lifetime one after the other, and as many that do so a day later.

        The account of what is stored does not know rows that nobody has uploaded: a recount has to follow.

        Args:
            count: how many.
            seconds: from now on, in which they do so.
        """
        now_ms = int(time.time() * 1_000)
        times = [now_ms + int(seconds * 1_000 * number / count) for number in range(count)]
        with ServerDatabase(self._stack.main) as database:
            writer = MediaWriter(self._stack.main, database)
            for number, expires in enumerate([*times, *(one + DAY_MS for one in times)]):
                content = malware.unique_bytes(2_000).hex().encode()
                created_ts, user_id = expires - _LIFETIME_MS, self._people[2].user_id
                written = writer.local(f"old{number:021}", content, created_ts=created_ts, user_id=user_id)
                self.record.expires[written.mxc] = expires
            writer.flush()

    def look_at_old(self, user: MatrixClient, mxc: str) -> None:
        """Ask for a file of `write_old_files`; that it went too early is a violation."""
        gone = user.download(mxc).status == HTTPStatus.NOT_FOUND
        if gone and time.time() * 1_000 < self.record.expires[mxc] - _MARGIN_MS:
            self.record.violations.append(f"{mxc} was deleted before its time")

    def read(self, user: MatrixClient, mxc: str) -> bool:
        """Download a clean file; returns whether it came. Other bytes than were uploaded are a violation."""
        answer = user.download(mxc)
        if answer.status != HTTPStatus.OK:
            return False
        if hashlib.sha256(answer.body).hexdigest() != self.record.clean[mxc]:
            self.record.violations.append(f"{mxc} is not what was uploaded")
        return True

    def try_infected(self, user: ContentScannerClient, stored: StoredAttachment) -> None:
        """Try all doors to an infected file; each that opens is a violation."""
        asks: tuple[Callable[[], Response], ...] = (
            lambda: user.download(stored.mxc),
            lambda: user.scan_encrypted(stored.file),
            lambda: user.download_encrypted(stored.file),
            lambda: user.download(stored.mxc),
            lambda: user.get(f"/_matrix/media/v3/download/{stored.mxc.removeprefix('mxc://')}"),
        )
        for number, ask in enumerate(asks):
            with contextlib.suppress(*FAILURES):
                answer = ask()
                said_clean = number == 1 and answer.status == HTTPStatus.OK and answer.json.get("clean")
                if said_clean or (number != 1 and answer.status == HTTPStatus.OK):
                    self.record.violations.append(f"door {number} to {stored.mxc} is open: {answer.status}")


def accepted(answer: Response) -> str | None:
    """The mxc of a file that was taken, or None."""
    if answer.status != HTTPStatus.OK:
        return None
    body: dict[str, Any] = answer.json
    mxc: str = body["content_uri"]
    return mxc
