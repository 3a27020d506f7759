"""Annotation formats: one module per family, and forms in YAML; `signloom.dataset.importers` names them."""
