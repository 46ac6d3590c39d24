"""Our administration and user API at `/_synapse/client/bum/v1`."""

from synapse_bum.rest.errors import conflict, forbidden, invalid_param, not_found, too_many
from synapse_bum.rest.queries import Page, Query
from synapse_bum.rest.resource import BASE, api_routes
from synapse_bum.rest.routes import Access, Answer, ApiRequest, Document, Handler, Routes, RouteSecret

__all__ = [
    "BASE",
    "Access",
    "Answer",
    "ApiRequest",
    "Document",
    "Handler",
    "Page",
    "Query",
    "RouteSecret",
    "Routes",
    "api_routes",
    "conflict",
    "forbidden",
    "invalid_param",
    "not_found",
    "too_many",
]
