"""Synapse modules that make a BundesMessenger homeserver a managed service."""

__version__ = "0.1.0"
