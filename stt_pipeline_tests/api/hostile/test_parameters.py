"""Query parameters that no endpoint has, and parameters that come twice."""

import pytest

from stt_pipeline_tests.api.hostile.target import BATCHES, Target, assert_rejected


def test_every_endpoint_refuses_an_unknown_parameter(target: Target) -> None:
    checked = 0
    for path, operations in target.app.openapi()["paths"].items():
        for method, operation in operations.items():
            url = (
                path.replace("{batch_id}", "1").replace("{watch_id}", "1").replace("{transcription_id}", "1")
            )
            answer = target.send(
                method.upper(), f"{url}?stray=1", json={} if "requestBody" in operation else None
            )
            assert_rejected(target, answer, 422)
            assert {"where": "query.stray"}.items() <= answer.json()["errors"][0].items()
            names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            assert all(name in answer.json()["errors"][0]["message"] for name in names)
            checked += 1
    assert checked == 24
    assert_rejected(target, target.send("GET", "/openapi.json?stray=1"), 422)


@pytest.mark.parametrize(
    ("query", "where", "message"),
    [
        ("stat=failed", "query.stat", "Did you mean status?"),
        ("Status=failed", "query.Status", "Did you mean status?"),
        ("status=failed&status=completed", "query.status", "give it once"),
        ("limit=1&limit=1", "query.limit", "give it once"),
        ("%00=1", "query.\0", "unknown parameter"),
        ("=1", "query.", "unknown parameter"),
        ("batch_id=1", "query.batch_id", "unknown parameter"),
        (f"{'x' * 4_000}=1", f"query.{'x' * 100}", "unknown parameter"),
        ("&".join(f"p{number}=1" for number in range(2_000)), "query.p0", "unknown parameter"),
    ],
    ids=lambda text: text[:20],
)
def test_unknown_and_repeated_parameters(target: Target, query: str, where: str, message: str) -> None:
    answer = target.send("GET", f"{BATCHES}?{query}")
    assert_rejected(target, answer, 422)
    (first, *_) = answer.json()["errors"]
    assert first["where"] == where
    assert message in first["message"]


def test_a_key_is_checked_before_the_parameters(target: Target) -> None:
    assert_rejected(target, target.send("GET", f"{BATCHES}?stray=1", key=""), 401)
