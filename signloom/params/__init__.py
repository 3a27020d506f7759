"""Typed parameters, split into modules so that a stage depends only on the sections that it reads."""
