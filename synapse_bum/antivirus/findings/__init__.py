"""What was found, and what follows: records, blocking for everybody, release, deletion."""
