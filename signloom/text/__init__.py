"""Sentences: their tables, tokens, gloss vocabulary and frozen embeddings."""
