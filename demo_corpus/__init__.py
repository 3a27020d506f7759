"""The demo corpus: short videos of an invented sign lexicon, rendered from a parametric body.

The lexicon is made up for testing. It is no natural sign language and imitates none.

``lexicon`` and ``sentences`` define what is signed, ``signers`` who signs it; their tables are YAML files,
which ``tables`` reads. ``motion`` turns a gloss line into hand targets over time, ``ik`` turns these into
joint rotations, ``body`` into a posed mesh, and ``render`` into pixels. ``build`` writes the corpus, and
``check`` runs MediaPipe on it.
"""
