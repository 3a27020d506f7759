"""The report of a build: one page of tables and pictures."""
