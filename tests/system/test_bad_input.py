"""Invalid input is rejected with a reason, is not stored, and does no harm."""

import itertools

import pytest
import requests

from tests.system.installation import Installation

YAML = {"Content-Type": "text/yaml"}
JSON = {"Content-Type": "application/json"}
BOMB = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x]"]
    + [
        f"{name}: &{name} [{', '.join([f'*{previous}'] * 9)}]"
        for previous, name in itertools.pairwise("abcdefghi")
    ]
)


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        ("name: [", YAML, 400, "line"),
        ("[1, 2]", JSON, 400, "got a list"),
        ('{"name": ', JSON, 400, "line 1"),
        ("name: t\nimage: x\nimagee: y", YAML, 400, "did you mean `image`"),
        ("name: [5]\nimage: x", YAML, 400, "name"),
        ("name: t", YAML, 400, "image"),
        ("name: t\nimage: x\n---\nname: u\nimage: y", YAML, 400, "document"),
        (BOMB, YAML, 400, ""),
        ("", YAML, 400, "empty"),
        ("name: t\nimage: x", {}, 400, "text/yaml"),
        ("name: t\nimage: x", {"Content-Type": "text/plain"}, 400, "text/yaml"),
        (b"\xff\xfe\x00", YAML, 400, "UTF-8"),
        ("x" * 10_000_000, YAML, 413, "larger"),
    ],
)
def test_invalid_body_is_rejected_and_not_stored(
    installation: Installation, body: str | bytes, headers: dict[str, str], status: int, message: str
) -> None:
    before = installation.get("/jobs")["totalItems"]
    data = body if isinstance(body, bytes) else body.encode()
    response = requests.post(f"{installation.url}/task", data=data, headers=headers, timeout=10)
    assert response.status_code == status
    assert message in response.json()["message"]
    assert installation.get("/jobs")["totalItems"] == before


@pytest.mark.parametrize("route", ["/task/none", "/tasks/none", "/jobs/none", "/tasks/none/log", "/nothing"])
def test_unknown_route_or_id_is_404(installation: Installation, route: str) -> None:
    response = requests.get(installation.url + route, timeout=10)
    assert response.status_code == 404
    assert response.json()["message"]


def test_system_is_healthy_after_invalid_input(installation: Installation) -> None:
    assert installation.get("/health") == {"status": "UP"}
    task = installation.run_task({"name": "t", "image": "busybox:stable", "cmd": ["echo", "-n", "well"]})
    assert task["result"] == "well"
