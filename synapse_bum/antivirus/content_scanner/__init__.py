"""The content scanner for end-to-end encrypted files (MSC1453), answered from inside the homeserver."""
