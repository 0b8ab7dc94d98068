"""Lines pushed to Loki by a thread of their own."""
