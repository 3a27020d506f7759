"""What a trained model is worth: translation, retrieval, and intervals around both."""
