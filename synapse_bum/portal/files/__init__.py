"""Files: what a page says of one, its deletion, and pictures of scanned ones."""
