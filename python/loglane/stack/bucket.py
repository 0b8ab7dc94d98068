"""The life-cycle policy of the S3 bucket: moves to a colder class, and a last safety net.

Loki's compactor alone decides what is deleted. The policy expires a chunk only after a time in
which Loki has long deleted it: S3 counts from the upload of an object, Loki from its newest line,
and both clocks and an interrupted compactor are allowed for. The index and the compactor's delete
requests (`index/`) and every other key are never expired
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html).
"""

from __future__ import annotations

import math
from typing import Any

from loglane.stack.overrides import limits_of, longest_period
from loglane.stack.spec import StackSpec
from loglane.stack.values import hours

# What a compactor that has stopped, or a policy that is applied late, may cost.
MARGIN_DAYS = 7


def bucket_rules(spec: StackSpec) -> list[dict[str, Any]]:
    """Return one rule for each tenant's chunks, which lie below `<tenant>/`; none without S3."""
    if spec.storage.type != "s3":
        return []
    return [
        {
            "id": f"chunks of {name}",
            "prefix": f"{name}/",
            "transition": _transition(spec, name),
            "expiration_days": expiration_days(spec, name),
        }
        for name in spec.tenant_names
    ]


def expiration_days(spec: StackSpec, name: str) -> int:
    """Return after how many days Loki can no longer need any chunk of a tenant."""
    phases = spec.retention.phases
    needed = (
        longest_period(spec, name),
        phases.hot,
        limits_of(spec, name).reject_old_samples_max_age,
        phases.delete,
    )
    return math.ceil(sum(map(hours, needed)) / 24) + MARGIN_DAYS


def _transition(spec: StackSpec, name: str) -> dict[str, Any] | None:
    """Return the move to the cold class, unless everything is deleted before."""
    phases = spec.retention.phases
    if phases.warm is None or phases.cold is None:
        return None
    if hours(phases.warm) >= hours(longest_period(spec, name)):
        return None
    return {"days": round(hours(phases.warm) / 24), "class": phases.cold}
