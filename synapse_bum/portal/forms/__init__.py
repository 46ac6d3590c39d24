"""Forms: fields and what came of them, the token of each, questions before a step, and drafts of ended sessions."""
