"""Reading video."""
