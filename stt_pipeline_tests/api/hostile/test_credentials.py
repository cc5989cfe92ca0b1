"""Invalid API keys, and keys in the wrong place."""

import pytest

from stt_pipeline_tests.api.hostile.target import BATCHES, ONE, Target, assert_rejected

CREDENTIALS = [
    *(
        "",
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        "bearer",
        "Bearer stt_",
        "Bearer null",
        "Bearer undefined",
        "Token x",
    ),
    *(
        "Bearer stt_000000000000_" + "A" * 43,
        "Bearer " + "x" * 8_000,
        "Bearer stt_%00",
        "Bearer ' OR '1'='1",
        "Digest username=admin",
    ),
    *(
        "Bearer stt_x\r\nX-Role: admin",
        "Bearer \x00",
        "Bearer \xff\xfe",
        "Bearer {revoked}",
        "Bearer {upper}",
        "Bearer {cut}",
        "Bearer {more}",
    ),
    *("Bearer {secret}", "Bearer {other}", "{key}", "Basic {key}", "Bearer {key}, Bearer {key}"),
]


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=lambda text: ascii(text[:30]))
def test_invalid_keys(target: Target, credentials: str) -> None:
    key = target.key
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    for name, value in {
        "revoked": target.revoked, "upper": key.upper(), "cut": key[:-1], "more": key + "A", "secret": key[17:], "other": other, "key": key,
    }.items():  # fmt: skip
        credentials = credentials.replace(f"{{{name}}}", value)
    for method, path in (("GET", BATCHES), ("POST", BATCHES), ("DELETE", ONE), ("GET", "/metrics")):
        answer = target.send(method, path, key="", headers={"Authorization": credentials.encode("latin-1")})
        assert_rejected(target, answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "arguments",
    [
        {"params": {"api_key": "{key}", "access_token": "{key}", "Authorization": "Bearer {key}"}},
        {"cookies": {"Authorization": "Bearer {key}", "api_key": "{key}"}},
        {
            "headers": {
                "X-API-Key": "{key}",
                "X-Authorization": "Bearer {key}",
                "Proxy-Authorization": "Bearer {key}",
            }
        },
        {
            "headers": {
                "X-Forwarded-For": "127.0.0.1",
                "X-Real-IP": "127.0.0.1",
                "X-Role": "admin",
                "X-User": "admin",
            }
        },
        {"headers": {"X-Original-URL": "/health", "X-Rewrite-URL": "/health", "Forwarded": "for=127.0.0.1"}},
    ],
    ids=["query", "cookie", "other headers", "a proxy's headers", "rewritten address"],
)
def test_a_key_in_another_place(target: Target, arguments: dict[str, dict[str, str]]) -> None:
    filled = {
        kind: {name: value.replace("{key}", target.key) for name, value in given.items()}
        for kind, given in arguments.items()
    }
    cookies = filled.pop("cookies", {})
    if cookies:
        filled["headers"] = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    assert_rejected(target, target.send("DELETE", ONE, key="", **filled), 401)
