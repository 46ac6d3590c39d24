"""Many requests over few connections, with the time that each took. Blocking; no status is an error."""

import http.client
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import attr

from synapse_bum.testing.http_client import Response


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        method: of HTTP.
        target: path and query, escaped.
        headers: sent as they are; `Content-Length` is added.
        body: None for none.
    """

    method: str
    target: str
    headers: Mapping[str, str] = attr.ib(factory=dict)
    body: bytes | None = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        request: what was sent.
        response: None when the server closed the connection, or did not answer in time.
        seconds: from sending to the last byte of the answer.
    """

    request: Request
    response: Response | None
    seconds: float

    @property
    def status(self) -> int:
        """Of the answer; 0 without one."""
        return 0 if self.response is None else self.response.status


class KeptConnection:
    """One connection that is opened anew when the server has closed it. For one thread."""

    def __init__(self, base_url: str, timeout: float) -> None:
        """Nothing is sent yet.

        Args:
            base_url: `http://host:port`.
            timeout: seconds for each wait for bytes.
        """
        self._connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=timeout)

    def send(self, request: Request) -> Outcome:
        """Send a request and read the answer."""
        began = time.monotonic()
        try:
            self._connection.request(request.method, request.target, request.body, dict(request.headers))
            answer = self._connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            response = Response(answer.status, headers, answer.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Outcome(request, None, time.monotonic() - began)
        return Outcome(request, response, time.monotonic() - began)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def send_all(base_url: str, requests: Iterable[Request], *, connections: int, timeout: float) -> list[Outcome]:
    """Send requests over several connections at once, each after the other.

    Args:
        base_url: `http://host:port`.
        requests: what is sent, in this order.
        connections: at a time, each with a thread.
        timeout: seconds for each wait for bytes.

    Returns:
        The outcomes, in the order in which they came.
    """
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    for request in requests:
        waiting.put(request)
    outcomes: list[Outcome] = []

    def work() -> None:
        connection = KeptConnection(base_url, timeout)
        try:
            while True:
                outcomes.append(connection.send(waiting.get_nowait()))
        except queue.Empty:
            return
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def percentile(seconds: Iterable[float], share: float) -> float:
    """The time within which this share of the requests was answered; `share` from 0 to 1."""
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
