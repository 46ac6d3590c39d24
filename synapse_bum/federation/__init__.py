"""Which servers this one talks with: partners that change without a restart, at every place where Synapse asks."""

from synapse_bum.federation.module import FederationModule

__all__ = ["FederationModule"]
