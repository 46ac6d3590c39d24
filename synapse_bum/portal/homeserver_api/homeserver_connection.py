"""Where the homeserver's APIs are, for whoever needs a client of them."""

from synapse_bum.homeserver.http_exchange import HttpExchange
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient, Origin


class HomeserverConnection:
    """Makes clients."""

    def __init__(self, exchange: HttpExchange, base_url: str) -> None:
        """Takes how requests are sent, and where to."""
        self._exchange = exchange
        self._base_url = base_url

    def client(self, origin: Origin) -> HomeserverClient:
        """Returns a client that asks for this origin."""
        return HomeserverClient(self._exchange, self._base_url, origin)
