"""What the development server answers when it does not accept a request."""

from __future__ import annotations


class Refused(Exception):
    """A request that is not accepted; becomes an HTTP answer of `status` with this text.

    Raised for what Loki itself refuses, with Loki's text where clients read it, and for valid
    LogQL that the development server does not know, which is never answered wrongly instead.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def unsupported(what: str) -> Refused:
    """Build the refusal of something that a real Loki knows and this server does not."""
    return Refused(
        f"{what} is not supported by the development server; "
        "use a real Loki (`make up`) for this request"
    )
