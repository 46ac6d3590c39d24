"""The APIs of the homeserver as a page asks them, and the steps that are written down before they are taken."""
