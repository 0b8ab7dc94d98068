"""Record the answers of a real Loki to the corpus: `python -m tests.contract.logql.record`.

LOGLANE_TEST_LOKI_URL names a Loki of the version in the name of the recorded file, with
`limits_config.discover_log_levels: false` and structured metadata allowed, as the stack has it.
Run from the root of the repository and review the difference.
"""

from __future__ import annotations

import json
import os
import sys
import uuid

import httpx2

from tests.contract.logql.client import RECORDED, ask, load_corpus, push_dataset
from tests.contract.logql.dataset import base_time_ns

VERSION = "3.7.6"


def main() -> int:
    """Push the data set, ask every query and write what came back."""
    url = os.environ.get("LOGLANE_TEST_LOKI_URL", "").rstrip("/")
    if not url:
        print("LOGLANE_TEST_LOKI_URL is not set; give the URL of a Loki", file=sys.stderr)
        return 2
    version = httpx2.get(f"{url}/loki/api/v1/status/buildinfo").json()["version"]
    if version != VERSION:
        print(f"{url} is Loki {version}, not {VERSION}", file=sys.stderr)
        return 1
    base_ns = base_time_ns()
    tenant = f"corpus-{uuid.uuid4().hex[:12]}"
    push_dataset(url, tenant, base_ns)
    answers = {case["name"]: ask(url, tenant, base_ns, case) for case in load_corpus()}
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(answer, ensure_ascii=False, sort_keys=True)}"
        for name, answer in answers.items()
    )
    RECORDED.write_text(
        f'{{"version": "{version}", "answers": {{\n{lines}\n}}}}\n', encoding="utf-8"
    )
    print(f"{len(answers)} answers of Loki {version} in {RECORDED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
