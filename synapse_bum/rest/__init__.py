"""Our administration and user API at `/_synapse/client/bum/v1`."""

from synapse_bum.rest.errors import conflict, forbidden, invalid_param, not_found
from synapse_bum.rest.queries import Page, Query
from synapse_bum.rest.resource import BASE, api_routes
from synapse_bum.rest.routes import Access, Answer, ApiRequest, Document, Handler, Routes

__all__ = [
    "BASE",
    "Access",
    "Answer",
    "ApiRequest",
    "Document",
    "Handler",
    "Page",
    "Query",
    "Routes",
    "api_routes",
    "conflict",
    "forbidden",
    "invalid_param",
    "not_found",
]
