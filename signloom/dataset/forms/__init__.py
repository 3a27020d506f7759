"""Annotation forms that users bring, one family a module; `signloom.dataset.importers` knows them by name."""
