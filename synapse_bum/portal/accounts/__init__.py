"""Accounts: what they may be called, their import, and their deletion, which may take longer than a request."""
