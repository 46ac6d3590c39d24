"""Forgetting what is known of files that are gone, once it serves nothing any more."""
