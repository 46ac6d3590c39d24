"""How long the service was there: outages, what excuses them, and the monthly report by the contract's formula."""

from synapse_bum.availability.module import AvailabilityModule

__all__ = ["AvailabilityModule"]
