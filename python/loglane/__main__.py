"""`python -m loglane` is the `loglane` command."""

from loglane.cli import main

main()
