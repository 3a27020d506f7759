"""The commands of `python -m signloom`, one module each."""
