"""Buckets through the real AWS client: listing, opening, and the messages when S3 or the network fails."""

import hashlib
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.address import Address, display_name, display_path
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.s3 import S3Prefix
from stt_pipeline.audio.s3_client import create_client
from stt_pipeline.audio.s3_download import S3Objects
from stt_pipeline.audio.sources import Source
from stt_pipeline.errors import (
    ConfigurationError,
    DownloadError,
    InvalidRequestError,
    SourceUnavailableError,
)
from stt_pipeline.settings import Settings
from stt_pipeline_tests.audio.faulty_proxy import FaultyProxy, faulty_proxy


@pytest.fixture
def client(aws: str) -> Any:
    return boto3.client("s3")


@pytest.fixture
def proxy(aws: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(aws) as running:
        yield running


def through(proxy: FaultyProxy, tmp_path: Path, *, attempts: int = 2) -> SourceAccess:
    """Access by a client like the product's own with fewer attempts. Its timeout is longer than any test under load."""
    settings = Settings(home=tmp_path / "home", s3_endpoint_url=proxy.url)
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts}, read_timeout=300)
    return SourceAccess.of(settings, lambda: boto3.client("s3", endpoint_url=proxy.url, config=config))


def put(client: Any, bucket: str, *keys: str) -> None:
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())


def keys_of(source: Source, bucket: str, **arguments: Any) -> list[str]:
    return [item.uri.removeprefix(f"s3://{bucket}/") for item in source.list_objects(**arguments)]


class TestListing:
    @pytest.mark.slow
    def test_twenty_thousand_objects_are_listed_in_order_and_in_parallel(
        self, bucket: str, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        keys = [f"calls/2026-{n % 11 + 1:02}/{n:05} 통화+%.mp3" for n in range(20_000)]
        for key in keys:
            backend.put_object(bucket, key, b"")
        source = open_source(f"s3://{bucket}/calls", "**/*.mp3", through(proxy, tmp_path))
        assert keys_of(source, bucket, wait=True) == sorted(keys)
        starts = [request for request in proxy.requests if "start-after" in request]
        assert len(starts) >= 10
        # 20 pages, a short one for each range, and the listings of folders
        assert len(proxy.requests) <= 20 + 11 + 4

    def test_the_prefix_is_a_folder(self, bucket: str, client: Any) -> None:
        put(client, bucket, "meet/a.mp3", "meet/", "meet/b/", "meetings/c.mp3", "meet.mp3", "meet")
        for address in (f"s3://{bucket}/meet", f"S3://{bucket}/meet/"):
            source = open_source(address)
            assert source.uri == f"s3://{bucket}/meet"
            assert keys_of(source, bucket) == ["meet/a.mp3"]
            assert source.matches(f"s3://{bucket}/meet/x/y.mp3")
            assert not source.matches(f"s3://{bucket}/meetings/c.mp3")
            assert not source.matches(f"s3://{bucket}/meet/x.txt")
            assert not source.matches(f"s3://{bucket}/meet/x.mp3/")
            assert not source.matches(f"s3://{bucket}-2/meet/x.mp3")

    def test_a_listing_after_an_address(self, bucket: str, client: Any) -> None:
        put(client, bucket, *(f"x/{name}.mp3" for name in ("a", "b", "b/c", "d\ufffd", "e")))
        source = open_source(f"s3://{bucket}/x")
        assert keys_of(source, bucket, after=f"s3://{bucket}/x/b.mp3") == [
            *("x/b/c.mp3", "x/d\ufffd.mp3", "x/e.mp3")
        ]
        assert keys_of(source, bucket, after=f"s3://{bucket}/x/b") == [
            *("x/b.mp3", "x/b/c.mp3", "x/d\ufffd.mp3", "x/e.mp3")
        ]
        # recorders do write this character into names: the listing must continue after it
        assert keys_of(source, bucket, after=f"s3://{bucket}/x/d\ufffd.mp3") == ["x/e.mp3"]
        with pytest.raises(InvalidRequestError, match="not inside"):
            keys_of(source, bucket, after="s3://other/x/b.mp3")

    def test_objects_of_one_second_are_all_listed(self, bucket: str, client: Any) -> None:
        put(client, bucket, *(f"{n}.mp3" for n in range(20)))
        found = list(open_source(f"s3://{bucket}").list_objects())
        assert len(found) == 20
        assert max(item.modified_at for item in found) - min(item.modified_at for item in found) <= timedelta(
            seconds=2
        )

    @pytest.mark.parametrize(
        ("pattern", "asked"), [("2026-05*/**/*.mp3", "p%2F2026-05&"), ("**/*.mp3", "p%2F&"), ("A/*", "p%2F&")]
    )
    def test_the_start_of_a_pattern_narrows_the_prefix_of_requests(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path, pattern: str, asked: str
    ) -> None:
        put(client, bucket, "p/2026-05-01/a.mp3", "p/2026-06/a.mp3", "p/a/x.mp3")
        source = open_source(f"s3://{bucket}/p", pattern, through(proxy, tmp_path))
        assert len(keys_of(source, bucket)) == {"p%2F2026-05&": 1}.get(asked, 3 if "**" in pattern else 1)
        assert f"prefix={asked}" in proxy.requests[-1] + "&"

    def test_an_unordered_listing_yields_none_for_other_names(self, bucket: str, client: Any) -> None:
        put(client, bucket, "a.mp3", "b.txt", "c.mp3")
        seen = list(open_source(f"s3://{bucket}").iter_unordered())
        assert [item and item.uri[-5:] for item in seen] == ["a.mp3", None, "c.mp3"]


NAMES = [
    *("two words.mp3", "a+b.mp3", "100%25.mp3", "100%.mp3", "#1?.mp3", "it's \"quoted\".mp3", "a//b.mp3", "/lead.mp3"),
    *("🎙️ 👩‍💼.mp3", "a&b=c;d.mp3", "a\\b.mp3", "*[x].mp3", "<tag>.mp3", "tab\there.mp3", "~.mp3", "é/ß.mp3", "a .mp3"),
    *(unicodedata.normalize(form, "이사회/회의 기록.mp3") for form in ("NFC", "NFD")),
]  # fmt: skip


def test_names_of_any_kind_are_listed_and_opened(bucket: str, client: Any) -> None:
    put(client, bucket, *NAMES)
    source = open_source(f"s3://{bucket}", "**/*")
    found = list(source.list_objects())
    assert [item.uri for item in found] == [f"s3://{bucket}/{key}" for key in sorted(NAMES)]
    for item, key in zip(found, sorted(NAMES), strict=True):
        with source.open_local(item.uri, item.etag) as path:
            assert path.read_text() == key
            assert path.suffix == ".mp3"
            assert path.name == display_name(item.uri)
        assert source.matches(item.uri)
        shown = display_path(item.uri, source.uri)
        assert shown == unicodedata.normalize("NFC", key).replace("\t", "\ufffd")


def test_a_key_with_a_nul_fails_only_its_file(bucket: str) -> None:
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.put_object(bucket, "a\0b.mp3", b"")
    source = open_source(f"s3://{bucket}")
    [item] = source.list_objects()
    assert item.uri == f"s3://{bucket}/a\ufffdb.mp3"
    with (
        pytest.raises(DownloadError, match="no longer in the source"),
        source.open_local(item.uri, item.etag),
    ):
        pass


class TestReading:
    def test_an_object_that_changed_or_is_gone_since_the_listing_is_not_opened(
        self, bucket: str, client: Any
    ) -> None:
        put(client, bucket, "a.mp3", "b.mp3")
        source = open_source(f"s3://{bucket}")
        changed, gone = source.list_objects()
        client.put_object(Bucket=bucket, Key="a.mp3", Body=b"new")
        client.delete_object(Bucket=bucket, Key="b.mp3")
        with (
            pytest.raises(DownloadError, match=r"a\.mp3 has changed since it was listed.*again"),
            source.open_local(changed.uri, changed.etag),
        ):
            pass
        with (
            pytest.raises(DownloadError, match=r"b\.mp3 is no longer in the source"),
            source.open_local(gone.uri, gone.etag),
        ):
            pass
        [now, *_] = source.list_objects()
        with source.open_local(now.uri, now.etag) as path:
            assert path.read_bytes() == b"new"

    def test_an_object_is_downloaded_once(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        put(client, bucket, "a.mp3")
        for _ in range(2):  # as in two processes
            source = open_source(f"s3://{bucket}", access=through(proxy, tmp_path))
            [item] = source.list_objects()
            for _ in range(2):
                with source.open_local(item.uri, item.etag) as path:
                    assert path.read_bytes() == b"a.mp3"
        assert len([request for request in proxy.requests if "a.mp3" in request]) == 1

    @pytest.mark.slow
    def test_a_broken_download_is_resumed(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        content = hashlib.shake_128(b"").digest(3_000_000)
        client.put_object(Bucket=bucket, Key="a.mp3", Body=content)
        source = open_source(f"s3://{bucket}", access=through(proxy, tmp_path))
        [item] = source.list_objects()
        for after in (2_000_000, 500, 0):
            proxy.cut(after, when=lambda request: "a.mp3" in request)
        with source.open_local(item.uri, item.etag) as path:
            assert path.read_bytes() == content
        assert len([request for request in proxy.requests if "a.mp3" in request]) == 4

    @pytest.mark.slow
    def test_an_object_that_changes_during_the_download_is_not_mixed(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        client.put_object(Bucket=bucket, Key="a.mp3", Body=b"1" * 2_000_000)
        source = open_source(f"s3://{bucket}", access=through(proxy, tmp_path))
        [item] = source.list_objects()
        seen = []

        def replaced(request: str) -> bool:
            if "a.mp3" in request and not seen:
                seen.append(request)
                return True
            if "a.mp3" in request and len(seen) == 1:
                seen.append(request)
                client.put_object(Bucket=bucket, Key="a.mp3", Body=b"2" * 2_000_000)
            return False

        proxy.cut(1_000_000, times=2, when=replaced)
        with pytest.raises(DownloadError, match="has changed"), source.open_local(item.uri, item.etag):
            pass

    def test_a_download_that_always_breaks_off_is_a_download_error(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        client.put_object(Bucket=bucket, Key="a.mp3", Body=b"1" * 2_000_000)
        access = through(proxy, tmp_path)
        objects = S3Objects(access.s3, access.cache, max_pause_seconds=0.01)
        source = S3Prefix(Address.parse(f"s3://{bucket}"), FilePattern(""), objects)
        [item] = source.list_objects()
        # cut after the first byte: the buffer of the headers takes some bytes, so none of the body arrives
        proxy.cut(1, times=100, when=lambda request: "a.mp3" in request)
        with pytest.raises(DownloadError, match="broke off"), source.open_local(item.uri, item.etag):
            pass
        cache = tmp_path / "home" / "cache"
        assert not list(cache.glob("drafts/*"))
        assert (cache / "size").read_text() == "0"

    @pytest.mark.parametrize(
        ("status", "code", "kind", "message"),
        [
            (403, "AccessDenied", DownloadError, r"a\.mp3 may not be read .*may well be there.*s3:GetObject"),
            (404, "NoSuchKey", DownloadError, "no longer in the source"),
            (403, "InvalidAccessKeyId", ConfigurationError, "AWS_ACCESS_KEY_ID"),
            (400, "ExpiredToken", ConfigurationError, "Renew"),
            (503, "SlowDown", DownloadError, "could not be downloaded.*Try again later"),
            (500, "InternalError", DownloadError, "could not be downloaded"),
            (403, "InvalidObjectState", DownloadError, "is archived.*Restore it there first, then retry"),
        ],
    )
    def test_the_error_when_an_object_is_refused(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path,
        status: int, code: str, kind: type[Exception], message: str,
    ) -> None:  # fmt: skip
        put(client, bucket, "a.mp3")
        source = open_source(f"s3://{bucket}", access=through(proxy, tmp_path, attempts=1))
        [item] = source.list_objects()
        proxy.answer(status, code, times=5, when=lambda request: "a.mp3" in request)
        for etag in (item.etag, ""):
            with pytest.raises(kind, match=message), source.open_local(item.uri, etag):
                pass


class TestOpening:
    def test_no_such_bucket(self, aws: str) -> None:
        with pytest.raises(InvalidRequestError, match=r"The bucket does not exist: s3://nobody-has-this"):
            open_source("s3://nobody-has-this/x")

    def test_an_object_is_not_a_prefix(self, bucket: str, client: Any) -> None:
        put(client, bucket, "x/a.mp3")
        with pytest.raises(InvalidRequestError, match="is an object, not a prefix"):
            open_source(f"s3://{bucket}/x/a.mp3")
        assert keys_of(open_source(f"s3://{bucket}/nothing/here"), bucket) == []

    @pytest.mark.parametrize(
        ("status", "code", "kind", "message"),
        [
            (403, "AccessDenied", InvalidRequestError, "denied.*may well exist.*s3:ListBucket"),
            (403, "InvalidAccessKeyId", ConfigurationError, "refused.*AWS_ACCESS_KEY_ID"),
            (403, "SignatureDoesNotMatch", ConfigurationError, "refused"),
            (400, "ExpiredToken", ConfigurationError, "refused.*Renew"),
            (403, "RequestTimeTooSkewed", ConfigurationError, "clock"),
            (301, "PermanentRedirect", ConfigurationError, "STT_S3_REGION"),
            (503, "SlowDown", SourceUnavailableError, "at the moment.*Try again later"),
            (500, "InternalError", SourceUnavailableError, "at the moment"),
            (400, "InvalidArgument", InvalidRequestError, "InvalidArgument"),
            (403, "InvalidObjectState", InvalidRequestError, "is archived.*Restore"),
        ],
    )
    def test_the_error_when_s3_refuses_a_prefix(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path,
        status: int, code: str, kind: type[Exception], message: str,
    ) -> None:  # fmt: skip
        proxy.answer(status, code, times=4, when=lambda request: request.startswith("GET"))
        access = through(proxy, tmp_path, attempts=1)
        with pytest.raises(kind, match=message):
            open_source(f"s3://{bucket}/calls", access=access)

    def test_the_same_errors_during_a_listing(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        put(client, bucket, "a.mp3")
        source = open_source(f"s3://{bucket}", access=through(proxy, tmp_path, attempts=1))
        for status, code, kind in (
            (403, "AccessDenied", InvalidRequestError),
            (400, "ExpiredToken", ConfigurationError),
            (503, "SlowDown", SourceUnavailableError),
        ):
            proxy.answer(status, code)
            with pytest.raises(kind):
                list(source.list_objects())
        assert keys_of(source, bucket) == ["a.mp3"]

    @pytest.mark.slow
    def test_throttling_errors_and_broken_connections_are_retried(
        self, bucket: str, client: Any, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        put(client, bucket, "a.mp3")
        settings = Settings(home=tmp_path / "home", s3_endpoint_url=proxy.url)
        proxy.answer(503, "SlowDown")
        source = open_source(f"s3://{bucket}", access=SourceAccess.of(settings))
        proxy.answer(500, "InternalError")
        assert keys_of(source, bucket) == ["a.mp3"]
        proxy.cut(20)
        assert keys_of(source, bucket) == ["a.mp3"]
        assert len(proxy.requests) == 6

    def test_no_server_answers(self, aws: str, tmp_path: Path) -> None:
        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=1)
        with faulty_proxy(aws) as gone:
            pass
        access = SourceAccess.of(
            Settings(home=tmp_path), lambda: boto3.client("s3", endpoint_url=gone.url, config=config)
        )
        with pytest.raises(SourceUnavailableError, match=r"does not answer.*STT_S3_ENDPOINT_URL"):
            open_source("s3://recordings/x", access=access)

    def test_missing_credentials_profile_and_endpoint(
        self, aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def opened(**settings: str) -> None:
            open_source("s3://recordings", access=SourceAccess.of(Settings(home=tmp_path, **settings)))  # type: ignore[arg-type]

        with pytest.raises(ConfigurationError, match=r"profile \(nobody\)"):
            opened(s3_profile="nobody")
        with pytest.raises(ConfigurationError, match="STT_S3_ENDPOINT_URL"):
            opened(s3_endpoint_url="not an address")
        with pytest.raises(ConfigurationError, match="user or password") as refused:
            opened(s3_endpoint_url="http://minio:sEcReT@127.0.0.1:9000")
        assert "sEcReT" not in str(refused.value)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(ConfigurationError, match=r"no credentials.*AWS_ACCESS_KEY_ID"):
            opened()

    def test_the_server_is_not_s3(self, aws: str, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path, s3_endpoint_url=f"{aws}/moto-api/#")
        with pytest.raises(ConfigurationError, match="STT_S3_ENDPOINT_URL"):
            open_source("s3://recordings", access=SourceAccess.of(settings))

    def test_the_client_has_the_settings_and_is_made_once(self, aws: str, tmp_path: Path) -> None:
        profile = tmp_path / "config"
        profile.write_text("[profile radio]\naws_access_key_id = RADIO\naws_secret_access_key = x\n")
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("AWS_CONFIG_FILE", str(profile))
            patched.delenv("AWS_ACCESS_KEY_ID")
            client = create_client(
                Settings(s3_profile="radio", s3_region="ap-northeast-2", s3_endpoint_url="http://127.0.0.1:9")
            )
            assert client._request_signer._credentials.access_key == "RADIO"
        assert client.meta.region_name == "ap-northeast-2"
        assert client.meta.endpoint_url == "http://127.0.0.1:9"
        assert client.meta.config.retries["mode"] == "standard"
        made = []
        access = SourceAccess.of(Settings(home=tmp_path), lambda: made.append(1) or boto3.client("s3"))
        assert not made
        assert access.s3() is access.s3()
        assert made == [1]
