"""Ready-made ties to frameworks."""
