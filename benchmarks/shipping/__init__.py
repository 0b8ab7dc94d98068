"""What the direct push costs, beside others and the limit."""
