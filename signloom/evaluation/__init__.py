"""Score trained models: translation, glosses, retrieval and acceptance, with intervals."""
