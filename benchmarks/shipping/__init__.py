"""What the direct push costs, beside other handlers and what one connection can take at most.

This file imports nothing: `handlers.py` runs where only the handlers are installed.
"""
