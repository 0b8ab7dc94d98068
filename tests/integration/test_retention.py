"""Retention really deletes: by default, by selector and by tenant; in a volume and in S3."""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid

import httpx2
import pytest

from loglane.stack import engine, probe
from loglane.stack.spec import StackSpec
from tests.integration.conftest import eventually, free_ports
from tests.integration.retained import running_loki

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

# The index of what is flushed goes to the store within a minute after a start of Loki.
DELETED_WITHIN_S = 240.0
KEYS = {
    "retention": {
        "default": "72h",
        "streams": [
            {"selector": '{log_category="audit"}', "period": "7d"},
            {"selector": '{level="debug"}', "period": "24h"},
        ],
    },
    "limits": {"reject_old_samples_max_age": "7d"},
    "tenants": {
        "team-a": {"retention": {"default": "48h"}},
        "team-b": {
            "retention": {
                "default": "72h",
                "streams": [{"selector": '{level="debug"}', "period": "5d"}],
            }
        },
    },
}
# Service, its other labels, age in hours.
LINES = [
    ("new", {"level": "info"}, 1),
    ("middle", {"level": "info"}, 60),
    ("old", {"level": "info"}, 100),
    ("debug", {"level": "debug"}, 30),
    ("audit", {"level": "info", "log_category": "audit"}, 100),
]
LEFT = {
    "main": {"new", "middle", "audit"},
    # A shorter default of its own; the rules for everybody still hold.
    "team-a": {"new", "audit"},
    # A longer rule of its own for debug lines; the one for audit lines still holds.
    "team-b": {"new", "middle", "debug", "audit"},
}


@pytest.fixture
def name(docker_engine):
    """Return a project name, or skip when an image is missing."""
    images = StackSpec(env="dev").images
    for image in (images.loki, images.promtail, images.grafana):
        if not engine.has_image(docker_engine, image):
            pytest.skip(f"needs an image that is not on this machine: docker pull {image}")
    return f"loglane-test-{uuid.uuid4().hex[:8]}"


def push_all(loki):
    """Push every line for every tenant, have it flushed, and see that each is there."""
    for tenant in LEFT:
        for service, labels, age_h in LINES:
            assert 204 == loki.push(tenant, {"service": service, "env": "dev", **labels}, age_h)
    # From S3, lines that arrive so late are found when they are flushed.
    assert 204 == httpx2.post(f"{loki.url}/flush", timeout=60).status_code
    everything = {service for service, _, _ in LINES}
    found = eventually(
        lambda: {tenant: loki.services(tenant) for tenant in LEFT}, dict.fromkeys(LEFT, everything)
    )
    assert dict.fromkeys(LEFT, everything) == found


def test_retention_deletes_by_default_by_selector_and_by_tenant(name, docker_engine, tmp_path):
    """What is due goes, the file of its chunk too, and what is not due stays."""
    with running_loki(tmp_path, name, KEYS, {}) as loki:
        push_all(loki)
        loki.restart()
        # A chunk is the lines of one stream, so so many files are left as services.
        expected = {tenant: (left, len(left)) for tenant, left in LEFT.items()}
        found = eventually(
            lambda: {
                tenant: (loki.services(tenant), chunks(docker_engine, name, tenant))
                for tenant in LEFT
            },
            expected,
            DELETED_WITHIN_S,
            every_s=2.0,
        )
        assert expected == found
        # And Loki takes no line that it would delete at once.
        assert (400, 204) == tuple(loki.push("main", {"service": "late"}, h) for h in (169, 40))


def chunks(docker_engine, name, tenant):
    """Count the files of chunks in the volume, by a container that has a shell."""
    script = f"find /loki/chunks/{tenant} -type f | wc -l"
    said = docker_engine.containers.run(
        StackSpec(env="dev").images.promtail,
        ["-c", script],
        entrypoint="bash",
        volumes={f"{name}_loki-data": {"bind": "/loki", "mode": "ro"}},
        remove=True,
    )
    return int(said)


@pytest.fixture
def bucket(docker_engine):
    """Start a server that speaks S3 where containers reach it; return its address."""
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("needs an S3 server: pip install 'moto[server]' and have it on PATH")
    network = docker_engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
    host, (port,) = network["Gateway"], free_ports(1)
    url = f"http://{host}:{port}"
    with subprocess.Popen(
        [program, "-H", host, "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            probe.wait_until(lambda: probe.answers(url), 60, "the S3 server")
            where = "<LocationConstraint>eu-central-1</LocationConstraint>"
            body = f"<CreateBucketConfiguration>{where}</CreateBucketConfiguration>"
            assert 200 == httpx2.put(f"{url}/logs", content=body).status_code
            yield url
        finally:
            server.terminate()


def keys_in(url):
    """Return the keys of all objects in the bucket."""
    return re.findall("<Key>([^<]+)</Key>", httpx2.get(f"{url}/logs?list-type=2").text)


def test_retention_deletes_from_s3_what_lies_below_the_tenants_prefix(name, bucket, tmp_path):
    """Chunks are below <tenant>/, where the bucket's policy looks, and the index below index/."""
    credentials = "[default]\naws_access_key_id = test\naws_secret_access_key = testtest\n"
    secrets = tmp_path / "stack" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "s3_credentials").write_text(credentials)
    override = {
        "environment": {"AWS_SHARED_CREDENTIALS_FILE": "/credentials"},
        "volumes": [f"{secrets / 's3_credentials'}:/credentials:ro"],
    }
    storage = {"type": "s3", "bucket": "logs", "region": "eu-central-1", "path_style": True}
    storage["endpoint"] = bucket
    with running_loki(tmp_path, name, {**KEYS, "storage": storage}, override) as loki:
        push_all(loki)
        loki.restart()
        expected = {tenant: (left, len(left)) for tenant, left in LEFT.items()}

        def left():
            keys = keys_in(bucket)
            return {
                tenant: (
                    loki.services(tenant),
                    sum(key.startswith(f"{tenant}/") for key in keys),
                )
                for tenant in LEFT
            }

        assert expected == eventually(left, expected, DELETED_WITHIN_S, every_s=2.0)
        folders = {key.partition("/")[0] for key in keys_in(bucket)}
        assert {*LEFT, "index"} >= folders - {"loki_cluster_seed.json"}
