"""Benchmarks, one command each; all print a ratio against a plain reference from the same run."""
