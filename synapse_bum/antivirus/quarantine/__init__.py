"""Keeping files from everybody: rows of Synapse's media tables under marks of ours, each kind with its journal."""
