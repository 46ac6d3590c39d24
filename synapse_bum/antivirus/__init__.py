"""Every file is scanned before it is stored, and infected ones are kept from everybody."""

from synapse_bum.antivirus.module import AntivirusModule

__all__ = ["AntivirusModule"]
