"""Files by age: local and remote media, what protects them, and files without rows."""
