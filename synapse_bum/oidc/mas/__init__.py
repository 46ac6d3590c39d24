"""The same mapping as configuration of the Matrix Authentication Service."""
