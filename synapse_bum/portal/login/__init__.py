"""The ways in: by password, by single sign-on, and by the Matrix Authentication Service."""
