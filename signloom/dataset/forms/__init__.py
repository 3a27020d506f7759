"""Annotation formats, one module per family; `signloom.dataset.importers` registers them by name."""
