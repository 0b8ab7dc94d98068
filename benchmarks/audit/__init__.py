"""What the audit trail costs.

- `rates`: rows a second of the batched worker (`feed`), and of `naive`, one insert and commit each;
- `call`: the marked log call in a request, beside a plain one;
- `memory`: what a process keeps while the database is away;
- `goals` holds what has to be reached, `side_by_side` runs and prints it.
"""
