"""Typed parameters: one module a section, so that a stage depends only on the sections that it reads."""
