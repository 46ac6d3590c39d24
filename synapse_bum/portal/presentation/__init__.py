"""What the answers of the APIs mean for the reader of a page. Pure."""
