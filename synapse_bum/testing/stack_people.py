"""Who uses the whole service, and what each of its processes answers them."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

import attr

from synapse_bum.rest import BASE
from synapse_bum.testing.http_client import HttpClient, Json, MatrixClient, Response
from synapse_bum.testing.room_talk import ok, room_path, texts_among
from synapse_bum.testing.service_stack import GENERIC, Account, ServiceStack
from synapse_bum.testing.stack_truth import eventually


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StackPeople:
    """Four people: carla is of the other organisation, all others of ours.

    Attributes:
        stack: it runs.
        boss: administrates our homeserver.
        alice: of ours.
        bob: of ours.
        carla: of theirs.
    """

    stack: ServiceStack
    boss: Account
    alice: MatrixClient
    bob: MatrixClient
    carla: MatrixClient

    @property
    def partner(self) -> str:
        """Path of the other organisation in the API."""
        return f"{BASE}/federation/partners/{self.stack.there.server_name}"

    def admin(self, path: str) -> Json:
        """What the API answers the administrator.

        Raises:
            AssertionError: no 200.
        """
        return ok(self.boss.admin.get(f"{BASE}/{path}")).json

    def everywhere(self, client: HttpClient, path: str) -> Mapping[str, Response]:
        """What each of our processes answers."""
        return {name: self.stack.at(name, client).get(path) for name in self.stack.processes}

    def lets_in(self, process: str, server_name: str) -> bool:
        """Whether one of our processes lets another server in.

        Who is no partner is refused by his name, before anybody looks at the signature, which is wrong here.
        """
        signed = {"Authorization": f'X-Matrix origin="{server_name}",key="ed25519:a",sig="AAAA"'}
        path = "/_matrix/federation/v1/publicRooms"
        return not denied(HttpClient(self.stack.urls[process]).request("GET", path, headers=signed))

    def wait_until_let_in(self, server_name: str) -> None:
        """Wait until all our processes let another server in.

        Raises:
            AssertionError: some do not.
        """
        for name in self.stack.processes:
            eventually(partial(self.lets_in, name, server_name))

    def wait_until_kept_out(self, server_name: str) -> None:
        """The opposite of `wait_until_let_in`."""
        for name in self.stack.processes:
            eventually(partial(self.keeps_out, name, server_name))

    def remove_partner(self, server_name: str) -> Mapping[str, float]:
        """Remove a partner by the API.

        Returns:
            After how many seconds each of our processes refuses it, by name.
        """

        def until_kept_out(name: str) -> float:
            eventually(partial(self.keeps_out, name, server_name))
            return time.monotonic() - began

        began = time.monotonic()
        path, reason = f"{BASE}/federation/partners/{server_name}", {"reason": "Vertrag ist zu Ende"}
        names = list(self.stack.processes)
        with ThreadPoolExecutor(len(names) + 1) as threads:
            removing = threads.submit(self.boss.admin.request, "DELETE", path, json_body=reason)
            seconds = dict(zip(names, threads.map(until_kept_out, names), strict=True))
            ok(removing.result())
        return seconds

    def seen_by_bob(self, room_id: str, texts: set[str], *event_ids: str) -> Mapping[str, tuple[object, ...]]:
        """What bob is shown of a room by each process that serves clients.

        Args:
            room_id: he is in it.
            texts: what he looks for, page by page.
            *event_ids: messages that he asks for by their id.

        Returns:
            By name of the process: the texts that he found, and the status of each message.
        """
        found = {}
        for name in ("main", *GENERIC):
            reader = self.stack.at(name, self.bob)
            statuses = (reader.get(room_path(room_id, "event", event_id)).status for event_id in event_ids)
            found[name] = (frozenset(texts_among(reader, room_id, texts)), *statuses)
        return found

    def keeps_out(self, process: str, server_name: str) -> bool:
        """The opposite of `lets_in`."""
        return not self.lets_in(process, server_name)


def denied(answer: Response) -> bool:
    """Whether something was refused because of who the other server is."""
    return answer.status == HTTPStatus.FORBIDDEN and b"Federation denied" in answer.body
