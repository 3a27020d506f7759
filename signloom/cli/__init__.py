"""The commands of `signloom`, one module each."""
