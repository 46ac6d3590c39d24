"""Which event carries which file, and what follows from it: redactions, and what events show of a blocked file."""
