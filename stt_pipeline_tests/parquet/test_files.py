"""The data folder on a disk and in S3: writes are atomic, and errors explain what to do."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from upath import UPath

from stt_pipeline.errors import ConfigurationError, SourceUnavailableError, SttError
from stt_pipeline.parquet import datasets, files
from stt_pipeline.parquet.files import data_folder
from stt_pipeline.settings import Settings

ODD = "회의 a+b%20[x]?#"  # a folder name with special characters of glob patterns, addresses and URLs


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    """A data folder of each kind."""
    if request.param == "disk":
        return data_folder(Settings(), str(tmp_path / ODD))
    # "?" and "#" are special in addresses of s3fs
    return data_folder(Settings(), f"s3://{request.getfixturevalue('bucket')}/{ODD[:-2]}")


def under(root: UPath) -> list[str]:
    """Return the names of all files in a data folder, and of its incomplete uploads."""
    if isinstance(root, Path):
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    client = boto3.client("s3")
    bucket, _, prefix = root.path.partition("/")
    objects = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return sorted(found["Key"].removeprefix(f"{prefix}/") for found in [*objects, *uploads])


@pytest.mark.slow
def test_files_are_written_listed_read_and_deleted(root: UPath) -> None:
    names = ["batch=100000/a.parquet", "batch=100000/b.parquet", "batch=1000001/a.parquet"]
    for name in names:
        files.write(root / name, b"old")
        files.write(root / name, name.encode())
    assert under(root) == names
    assert files.sizes(root / "batch=100000") == {
        root / "batch=100000" / "a.parquet": 22,
        root / "batch=100000" / "b.parquet": 22,
    }
    assert files.sizes(root / "batch=1") == {}
    assert list(files.read_each(root / name for name in names)) == [name.encode() for name in names]
    with pytest.raises(FileNotFoundError, match=r"batch=1/a\.parquet"):
        files.read(root / "batch=1" / "a.parquet")
    for _ in range(2):
        files.delete(root / "batch=100000" / "b.parquet")
        assert under(root) == [names[0], names[2]]
    for _ in range(2):
        files.delete_folder(root / "batch=100000")
        assert under(root) == names[2:]
    files.require_writable(root)
    assert under(root) == names[2:]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 40 << 20], ids=["small", "large"])
def test_a_file_is_not_visible_before_it_is_complete(root: UPath, size: int) -> None:
    def write(error: type[BaseException] | None) -> None:
        with files.written(root / "file") as file:
            for _ in range(2):
                file.write(bytes(size // 2 or 1))
            assert "file" not in under(root) or size > 1 << 20
            if error:
                raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            write(error)
        assert under(root) == []
    write(None)
    assert under(root) == ["file"]
    assert files.sizes(root) == {root / "file": max(2, size)}


@pytest.mark.slow
def test_a_reader_never_sees_an_incomplete_or_mixed_file(root: UPath) -> None:
    path = datasets.shard_path(root, "minutes", "000001", "000001-000000")

    def rows(version: int) -> list[dict[str, object]]:
        return [
            {"audio_file_id": version, "title": f"{version} {n}" * 50} for n in range(1 + version % 7 * 100)
        ]

    datasets.write(path, "minutes", rows(0))
    stopped = threading.Event()

    def rewrite() -> None:
        for version in range(1, 30):
            datasets.write(path, "minutes", rows(version))
        stopped.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = set()
    while not stopped.is_set():
        frame = datasets.read([path], "minutes")
        (version,) = frame["audio_file_id"].unique()
        assert len(frame) == 1 + version % 7 * 100
        seen.add(version)
    writer.join()
    assert len(seen) > 3


def test_two_writers_of_one_file_do_not_mix(root: UPath) -> None:
    with files.written(root / "file") as first, files.written(root / "file") as second:
        first.write(b"first")
        second.write(b"second")
    assert files.read(root / "file") == b"first"  # the writer that ended last
    assert under(root) == ["file"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "gs://bucket/x",
            "files cannot be written to gs://. Use a path, file:///path or s3://bucket/prefix.",
        ),
        ("s3://", "The s3:// address has no bucket's name: write it as in s3://recordings/2026/."),
        ("s3://results/a::b", "'s3://results/a::b': files cannot be written to a prefix with '::' in it."),
        ("file://server/x", "names another machine or a relative path"),
        ("~nobody-of-that-name/x", "Write the whole path."),
    ],
)
def test_addresses_that_are_no_folder(address: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        data_folder(Settings(data_uri=address))


def test_addresses_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    found = [
        str(data_folder(Settings(data_uri=address)))
        for address in ("", "data", "~/data", "file:///data/a%20b", "s3://bucket", "S3://bucket/a/b/")
    ]
    home = tmp_path.resolve()
    assert found == [
        f"{home}/.stt/data",
        f"{home}/data",
        "/home/kim/data",
        "/data/a b",
        "s3://bucket/",
        "s3://bucket/a/b",
    ]


def test_settings_of_s3_are_honoured(
    aws: str, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[kim]\naws_access_key_id = kims\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    settings = Settings(s3_endpoint_url=aws, s3_region="eu-central-1", s3_profile="kim")
    root = data_folder(settings, f"s3://{bucket}/data")
    files.write(root / "file", b"1")
    assert files.read(root / "file") == b"1"
    client = root.fs.s3
    credentials = client._request_signer._credentials
    assert (client.meta.endpoint_url, client.meta.region_name) == (aws, "eu-central-1")
    assert credentials.access_key == "kims"


Answer = Callable[[int, str], str]


@pytest.fixture
def refusing() -> Iterator[Answer]:
    """Return a function that starts an S3 server which answers every request with one error."""
    servers = []

    def start(status: int, code: str) -> str:
        class Refusing(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # a body comes after "100 Continue"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        for method in ("GET", "PUT", "POST", "DELETE"):
            setattr(Refusing, f"do_{method}", Refusing.answer)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def errors_of(root: UPath) -> list[SttError]:
    """Return the error of every operation on a data folder that cannot be used."""

    def stream() -> None:
        with files.written(root / "file") as file:
            file.write(b"1")

    errors = []
    for do in (
        lambda: files.read(root / "file"),
        lambda: files.write(root / "file", b"1"),
        stream,
        lambda: files.sizes(root),
        lambda: files.delete(root / "file"),
        lambda: files.delete_folder(root),
        lambda: files.require_writable(root),
    ):
        with pytest.raises(SttError) as raised:
            do()
        errors.append(raised.value)
    return errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (
            403,
            "AccessDenied",
            "Access to s3://bucket/data.* is denied.* need s3:ListBucket.* s3:PutObject",
        ),
        (403, "InvalidAccessKeyId", "The credentials for s3://bucket/data.* were refused .* Set AWS_"),
        (403, "SignatureDoesNotMatch", "The credentials for s3://bucket/data.* were refused"),
        (400, "ExpiredToken", "The credentials for s3://bucket/data.* were refused"),
        (301, "PermanentRedirect", "is in another region or at another endpoint .* Set STT_S3_REGION"),
    ],
)
def test_refused_requests_explain_what_to_do(
    aws: str, refusing: Answer, status: int, code: str, said: str
) -> None:
    settings = Settings(s3_endpoint_url=refusing(status, code))
    for error in errors_of(data_folder(settings, "s3://bucket/data")):
        assert isinstance(error, ConfigurationError)
        assert re.search(said, str(error))


def test_a_missing_bucket_is_not_created(aws: str) -> None:
    for error in errors_of(data_folder(Settings(), "s3://no-such-bucket/data")):
        assert isinstance(error, ConfigurationError)
        assert str(error).startswith(
            "The bucket 'no-such-bucket' does not exist. Create it or use another address,"
        )
    assert "no-such-bucket" not in [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"s3_profile": "nobody"}, "The config profile (nobody) could not be found"),
        ({"s3_region": "eu-west-1"}, "there are no credentials. Set AWS_ACCESS_KEY_ID"),
    ],
)
def test_no_credentials(
    aws: str, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    root = data_folder(Settings(**settings), "s3://bucket/data")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        files.write(root / "file", b"1")


def test_an_unavailable_server(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    root = data_folder(Settings(s3_endpoint_url="http://127.0.0.1:9"), "s3://bucket/data")
    with pytest.raises(SourceUnavailableError, match="Check the network and STT_S3_ENDPOINT_URL"):
        files.write(root / "file", b"1")
    with pytest.raises(ConfigurationError, match="must begin with http:// or https://"):
        data_folder(Settings(s3_endpoint_url="127.0.0.1:9"), "s3://bucket/data")


def test_an_unusable_folder_on_a_disk(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    root = data_folder(Settings(data_uri=str(tmp_path / "data")))
    with pytest.raises(ConfigurationError, match=r"data cannot be used: .*Check STT_DATA_URI"):
        files.require_writable(root)


@pytest.mark.slow
def test_a_folder_on_a_disk_does_not_import_s3_libraries(tmp_path: Path) -> None:
    script = """
import sys
from stt_pipeline.settings import Settings
from stt_pipeline.parquet import datasets
from stt_pipeline.parquet import files
root = files.data_folder(Settings())
datasets.write(root / "x" / "y.parquet", "minutes", [])
print(files.sizes(root / "x"), len(datasets.read(files.sizes(root / "x"), "minutes")))
files.delete_folder(root / "x")
print([name for name in ("s3fs", "boto3", "botocore", "aiohttp") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "STT_HOME": "."},
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
