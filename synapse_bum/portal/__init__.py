"""The self-service portals of the customer's administrators: server-rendered pages, a client of the HTTP APIs."""

from synapse_bum.portal.module import PortalModule

__all__ = ["PortalModule"]
