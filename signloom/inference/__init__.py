"""Answer clips with a trained, exported model."""
