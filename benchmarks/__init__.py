"""One command a benchmark; each prints a ratio against a plain reference in the same run."""
