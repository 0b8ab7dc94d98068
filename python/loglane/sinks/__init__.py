"""Where rendered lines go."""
