"""Files that are stored already: their verdicts, the backlog of those without one, and rescans."""
