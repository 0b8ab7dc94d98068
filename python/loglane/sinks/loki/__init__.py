"""Direct push to Loki."""
