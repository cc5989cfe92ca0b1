"""File lists as sources: every format, inventories as AWS writes them, and lists with addresses that are not allowed."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.errors import DownloadError, InvalidRequestError
from stt_pipeline.settings import Settings
from stt_pipeline_tests.audio.faulty_proxy import faulty_proxy

KEYS = ["b/회의 1.mp3", "a/x+y %25.mp3", "b/two, three.wav", "b/notes.txt"]
TIME = "2026-11-20T01:02:03.000Z"
AUDIO = [key for key in KEYS if not key.endswith(".txt")]


@pytest.fixture
def filled(bucket: str) -> dict[str, dict[str, Any]]:
    """The objects of a bucket, as boto3 lists them."""
    client = boto3.client("s3")
    for key in KEYS:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return {entry["Key"]: entry for entry in client.list_objects_v2(Bucket=bucket)["Contents"]}


def rows(bucket: str, filled: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"bucket": bucket, "key": key, "size": filled[key]["Size"], "etag": filled[key]["ETag"].strip('"'),
         "last_modified": TIME}
        for key in KEYS
    ]  # fmt: skip


def as_csv(table: list[dict[str, Any]]) -> str:
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def as_json_lines(table: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)


def write_parquet(path: Path, table: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(table), path)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], object]] = {
    "list.csv": lambda path, table: path.write_text(as_csv(table), encoding="utf-8"),
    "From Excel.CSV": lambda path, table: path.write_text(as_csv(table), encoding="utf-8-sig"),
    "list.csv.gz": lambda path, table: path.write_bytes(gzip.compress(as_csv(table).encode())),
    "list.jsonl": lambda path, table: path.write_text(as_json_lines(table), encoding="utf-8"),
    "list.jsonl.gz": lambda path, table: path.write_bytes(gzip.compress(as_json_lines(table).encode())),
    "list.ndjson": lambda path, table: path.write_text(as_json_lines(table) + "\n", encoding="utf-8"),
    "list.parquet": write_parquet,
}


def lend_all(source: Source, found: list[SourceObject]) -> None:
    for item in found:
        with source.open_local(item.uri, item.etag) as path:
            assert path.read_text() == item.uri.split("/", 3)[3]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("where", ["here", "s3"])
def test_every_format_of_a_list(
    bucket: str, filled: dict[str, dict[str, Any]], tmp_path: Path, name: str, where: str
) -> None:
    path = tmp_path / name
    WRITERS[name](path, rows(bucket, filled))
    address = str(path)
    if where == "s3":
        boto3.client("s3").upload_file(str(path), bucket, f"lists/{name}")
        address = f"s3://{bucket}/lists/{name}"
    source = open_source(address)
    found = list(source.list_objects())
    # in the list's order
    assert [item.uri for item in found] == [f"s3://{bucket}/{key}" for key in AUDIO]
    assert [item.size for item in found] == [len(key.encode()) for key in AUDIO]
    assert {item.modified_at for item in found} == {datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)}
    lend_all(source, found)
    assert source.uri == (address if where == "s3" else path.as_uri())
    assert list(open_source(source.uri).list_objects()) == found
    unordered = list(source.iter_unordered())
    assert [item.uri for item in unordered if item] == [item.uri for item in found]
    # for the row that does not match, and for an empty line
    assert unordered[len(found) :] == [None] * (2 if name == "list.ndjson" else 1)
    assert source.in_progress_count == 0


def test_the_pattern_matches_keys_and_a_listing_continues_after_an_address(
    bucket: str, filled: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(as_csv(rows(bucket, filled)))
    source = open_source(str(path), "b/*.mp3,b/*.wav")
    found = [item.uri for item in source.list_objects()]
    assert found == [f"s3://{bucket}/{key}" for key in ("b/회의 1.mp3", "b/two, three.wav")]
    assert [item.uri for item in source.list_objects(after=found[0])] == found[1:]
    assert list(source.list_objects(after=found[1])) == []
    # an address that is no longer in the list gives no position to continue from
    assert [item.uri for item in source.list_objects(after=f"s3://{bucket}/gone.mp3")] == found
    assert source.matches(f"s3://{bucket}/b/new.mp3")
    assert not source.matches(f"s3://{bucket}/c/new.mp3")


def test_missing_values_are_requested_and_a_missing_object_fails_only_its_file(
    bucket: str, filled: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    here = tmp_path / "회의 #1.mp3"
    here.write_bytes(b"sound")
    path = tmp_path / "list.csv"
    path.write_text(
        "URI,Size,ETag\n"
        f"s3://{bucket}/b/회의 1.mp3,,\n"
        f"{here},7,wrong\n"
        f"{here.as_uri()},,\n"
        f"s3://{bucket}/gone.mp3,,\n"
        f"s3://nobody-has-this/a.mp3,,\n"
        f"{tmp_path}/gone.mp3,5,abc\n"
        f"s3://{bucket}/folder/,,\n"
    )
    source = open_source(str(path))
    found = list(source.list_objects())
    assert [item.size for item in found] == [len("b/회의 1.mp3".encode()), 5, 5, 0, 0, 0]
    assert found[0].etag == filled["b/회의 1.mp3"]["ETag"].strip('"')
    assert found[1] == found[2] and found[1].etag not in ("", "wrong")
    assert [item.etag for item in found[3:]] == ["", "", ""]
    for item in found[:3]:
        with source.open_local(item.uri, item.etag):
            pass
    for item in found[3:]:
        with pytest.raises(DownloadError), source.open_local(item.uri, item.etag):
            pass
    here.write_bytes(b"another")
    with pytest.raises(DownloadError, match="has changed"), source.open_local(found[1].uri, found[1].etag):
        pass


class TestInventory:
    """As in the S3 User Guide, "Amazon S3 Inventory" and its manifest."""

    def deliver(self, bucket: str, file_format: str, schema: str, *files: tuple[str, bytes]) -> str:
        client = boto3.client("s3")
        folder = f"inventory/{bucket}/daily"
        for name, content in files:
            client.put_object(Bucket=bucket, Key=f"{folder}/data/{name}", Body=content)
        manifest = {
            "sourceBucket": bucket,
            "destinationBucket": f"arn:aws:s3:::{bucket}",
            "version": "2016-11-30",
            "creationTimestamp": "1514944800000",
            "fileFormat": file_format,
            "fileSchema": schema,
            "files": [
                {"key": f"{folder}/data/{name}", "size": len(content), "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"}
                for name, content in files
            ],
        }  # fmt: skip
        key = f"{folder}/2026-11-20T01-00Z/manifest.json"
        client.put_object(Bucket=bucket, Key=key, Body=json.dumps(manifest))
        return f"s3://{bucket}/{key}"

    @pytest.mark.parametrize("encode", [quote, quote_plus])
    def test_csv(self, bucket: str, filled: dict[str, dict[str, Any]], encode: Callable[[str], str]) -> None:
        def line(key: str, latest: str = "true", deleted: str = "false") -> str:
            entry = filled.get(key, {"Size": "", "ETag": ""})
            return (
                f'"{bucket}","{encode(key)}","v1","{latest}","{deleted}","{entry["Size"]}","{TIME}",'
                f'"{entry["ETag"].strip(chr(34))}","STANDARD"\n'
            )

        address = self.deliver(
            bucket,
            "CSV",
            "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
            ("1.csv.gz", gzip.compress((line(KEYS[0]) + line("b/old.mp3", latest="false")).encode())),
            ("2.csv.gz", gzip.compress((line("b/gone.mp3", deleted="true") + line("b/")).encode())),
            ("3.csv.gz", gzip.compress("".join(map(line, KEYS[1:])).encode())),
        )
        source = open_source(address)
        found = list(source.list_objects())
        assert [item.uri for item in found] == [f"s3://{bucket}/{key}" for key in AUDIO]
        assert [item.size for item in found] == [filled[key]["Size"] for key in AUDIO]
        lend_all(source, found)

    def test_parquet(self, bucket: str, filled: dict[str, dict[str, Any]], tmp_path: Path) -> None:
        time = pa.array([datetime(2026, 11, 20, 1, 2, 3)] * 6, pa.timestamp("ms"))
        keys = [*KEYS, "b/old.mp3", "b/gone.mp3"]
        table = pa.table(
            {
                "bucket": [bucket] * 6,
                "key": keys,
                "version_id": ["v"] * 6,
                "is_latest": [True, True, None, True, False, True],
                "is_delete_marker": [False, False, None, False, False, True],
                "size": [*(filled[key]["Size"] for key in KEYS), 1, None],
                "last_modified_date": time,
                "e_tag": [*(filled[key]["ETag"].strip('"') for key in KEYS), "x", None],
            }
        )
        pq.write_table(table, tmp_path / "data")
        schema = "message s3.inventory {  required binary bucket (UTF8);  required binary key (UTF8); }"
        address = self.deliver(bucket, "Parquet", schema, ("1.parquet", (tmp_path / "data").read_bytes()))
        source = open_source(address)
        found = list(source.list_objects())
        assert [item.uri for item in found] == [f"s3://{bucket}/{key}" for key in AUDIO]
        assert found[0].modified_at == datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)
        lend_all(source, found)

    def test_orc_and_other_manifests_are_refused(self, bucket: str, tmp_path: Path) -> None:
        source = open_source(self.deliver(bucket, "ORC", "struct<bucket:string,key:string>"))
        with pytest.raises(InvalidRequestError, match="ORC: set the inventory's format to CSV or Parquet"):
            list(source.list_objects())
        (tmp_path / "manifest.json").write_text('{"name": "an app"}')
        with pytest.raises(InvalidRequestError, match="not the manifest of an S3 Inventory"):
            list(open_source(str(tmp_path / "manifest.json")).list_objects())

    def test_a_data_file_that_is_missing_ends_the_listing(self, bucket: str) -> None:
        address = self.deliver(bucket, "CSV", "Bucket, Key", ("1.csv.gz", gzip.compress(b"")))
        boto3.client("s3").delete_object(Bucket=bucket, Key=f"inventory/{bucket}/daily/data/1.csv.gz")
        with pytest.raises(InvalidRequestError, match=r"The list cannot be read. 1\.csv\.gz is no longer"):
            list(open_source(address).list_objects())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "line 1: the header is missing"),
        ("x.csv", b"s3://bucket/a.mp3\n", "line 1: the header is missing"),
        ("x.csv", b"key\na.mp3\n", "neither uri nor bucket and key"),
        ("x.csv", b"uri,size\ns3://bucket/a.mp3\n", r"x\.csv, line 2: 1 values, but 2 columns"),
        (
            "x.csv",
            b"uri\ns3://bucket/a.mp3\nhttp://host/a.mp3\n",
            "line 3: 'http://host/a.mp3' is not an address",
        ),
        ("x.csv", b"uri,size\ns3://bucket/a.mp3,many\n", "line 2: 'many' is not a size in bytes"),
        ("x.csv", b"uri,size\ns3://bucket/a.mp3,-1\n", "'-1' is not a size"),
        ("x.csv", b"uri,last_modified\ns3://bucket/a.mp3,monday\n", "'monday' is not a time"),
        ("x.csv", b"bucket,key\n,a.mp3\n", "line 2: it has neither uri nor bucket"),
        ("x.csv", b"bucket,key\na:b@c,a.mp3\n", "line 2: .*no bucket's name"),
        ("x.csv", b"uri\nfile://server/a.mp3\n", "line 2: .*another machine"),
        ("x.csv", b"uri\n/a\0.mp3\n", r"x\.csv"),
        ("x.csv", b"uri\n\xff\xfe.mp3\n", "not UTF-8 text"),
        ("x.csv", b'uri\n"' + b"a" * 200_000 + b'"\n', "damaged.*field larger"),
        ("x.csv", b"uri\n" + b"a" * 2_000_000, "longer than"),
        ("x.csv", b"uri\n" + b'"\n",' * 400_000, "longer than"),
        ("x.jsonl", b"{}\n", "neither uri nor bucket"),
        ("x.csv.gz", b"uri\n", "damaged"),
        ("x.csv.gz", gzip.compress(b"uri\n" + b"/a.mp3\n" * 999, mtime=0)[:-4], "damaged"),
        ("x.jsonl", b'{"uri": "s3://bucket/a.mp3"}\n[1]\n', "line 2 is not a JSON object"),
        ("x.jsonl", b"uri\n", "line 1 is not JSON"),
        ("x.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("x.jsonl", b'{"uri": 5}\n', "line 1: '5' is not an address"),
        ("x.jsonl", b'{"uri": "s3://bucket/a.mp3", "etag": "a\\u0000b"}\n', "line 1: .* is not an etag"),
        ("x.jsonl", b'{"uri": "s3://bucket/a.mp3", "etag": "\\ud800"}\n', "line 1: .* is not an etag"),
        ("x.csv", b"uri\ns3://bucket/" + b"a" * 6_000 + b".mp3\n", "line 2: the address has more than 2,000"),
        ("x.jsonl", b'{"uri": "s3://bucket/\\ud800.mp3"}\n', "line 1: .*surrogates"),
        ("x.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_errors_in_a_list_have_their_position(
    aws: str, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidRequestError, match=message):
        list(open_source(str(tmp_path / name), "**").list_objects())


def test_a_missing_list(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="does not exist"):
        open_source(str(tmp_path / "x.csv"))
    with pytest.raises(InvalidRequestError, match=rf"s3://{bucket}/x\.csv cannot be read \(NoSuchKey"):
        open_source(f"s3://{bucket}/x.csv")
    # a folder may have such a name
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "x.csv" / "a.mp3").touch()
    boto3.client("s3").put_object(Bucket=bucket, Key="x.csv/a.mp3")
    for address in (str(tmp_path / "x.csv"), f"s3://{bucket}/x.csv/"):
        assert len(list(open_source(address).list_objects())) == 1


class TestAllowed:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """An allowed folder with a recording and a link out of it, beside a secret file."""
        place = tmp_path / "meetings"
        place.mkdir()
        (place / "a.mp3").write_bytes(b"1")
        (tmp_path / "secret.mp3").write_bytes(b"2")
        (place / "link.mp3").symlink_to("../secret.mp3")
        return place

    @pytest.mark.parametrize(
        "address",
        [
            *(
                "file:///etc/passwd",
                "/etc/hostname",
                "{place}/../secret.mp3",
                "file://{place}/%2e%2e/secret.mp3",
            ),
            *("{place}/link.mp3", "{place}2/a.mp3", "s3://audio-files/a/x.mp3", "s3://audio-files/b2/x.mp3"),
            *("s3://audio-files/b/../a/x.mp3", "s3://other/b/a.mp3"),
        ],
    )
    def test_addresses_that_are_not_allowed_are_neither_listed_nor_opened(
        self, aws: str, place: Path, address: str
    ) -> None:
        address = address.replace("{place}", str(place))
        path = place / "list.csv"
        path.write_text(f"uri,size,etag\n{place}/a.mp3,,\n{address},1,e\n")
        source = AllowedSources.for_api(f"{place},s3://audio-files/b/").open(str(path), "**/*")
        if ".." in address or "%2e" in address:  # such names are hidden, and never meant
            assert len(list(source.list_objects())) == 1
        else:
            with pytest.raises(InvalidRequestError, match=r"list\.csv, line 3: .*allowed"):
                list(source.list_objects())
        uri = address if "://" in address else f"file://{address}"
        assert not source.matches(uri)
        with pytest.raises(InvalidRequestError, match="allowed"), source.open_local(uri, "e"):
            pass

    def test_allowed_addresses_are_listed_and_opened(
        self, bucket: str, filled: dict[str, dict[str, Any]], place: Path
    ) -> None:
        path = place / "list.csv"
        path.write_text(f"uri\n{place}/a.mp3\ns3://{bucket}/b/회의 1.mp3\ns3://{bucket}/b/line%0Abreak\n")
        source = AllowedSources.for_api(f"{place},s3://{bucket}/b").open(path.as_uri())
        found = list(source.list_objects())
        assert len(found) == 2
        for item in found:
            assert source.matches(item.uri)
            with source.open_local(item.uri, item.etag):
                pass

    def test_a_list_elsewhere_and_data_files_elsewhere_are_refused(self, bucket: str, place: Path) -> None:
        allowed = AllowedSources.for_api(f"{place},s3://{bucket}/b")
        (place.parent / "list.csv").write_text("uri\n")
        with pytest.raises(InvalidRequestError, match="none of the allowed places"):
            allowed.open(str(place.parent / "list.csv"))
        (place / "away.csv").symlink_to("../list.csv")
        with pytest.raises(InvalidRequestError, match="symbolic link"):
            allowed.open(str(place / "away.csv"))
        (place / "manifest.json").write_text(
            json.dumps({"fileFormat": "CSV", "fileSchema": "Bucket, Key", "destinationBucket": "arn:aws:s3:::secrets",
                        "files": [{"key": "passwords.csv"}]})
        )  # fmt: skip
        with pytest.raises(
            InvalidRequestError, match=r"'s3://secrets/passwords\.csv' is in none of the allowed places"
        ):
            list(allowed.open(str(place / "manifest.json")).list_objects())

    def test_a_list_that_becomes_a_link_is_not_read(self, aws: str, place: Path) -> None:
        (place / "list.csv").write_text("uri\n")
        source = AllowedSources.for_api(str(place)).open(str(place / "list.csv"))
        (place / "list.csv").unlink()
        (place / "list.csv").symlink_to("../secret.mp3")
        with pytest.raises(InvalidRequestError, match="symbolic link"):
            list(source.list_objects())


def test_a_list_in_s3_contains_no_local_files_unless_they_are_allowed(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"1")
    boto3.client("s3").put_object(Bucket=bucket, Key="list.csv", Body=f"uri\n{tmp_path}/a.mp3\n".encode())
    address = f"s3://{bucket}/list.csv"
    source = AllowedSources.for_users("").open(address)
    with pytest.raises(InvalidRequestError, match=r"line 2: .*only s3:// addresses.*STT_ALLOWED_SOURCES"):
        list(source.list_objects())
    with pytest.raises(InvalidRequestError), source.open_local((tmp_path / "a.mp3").as_uri()):
        pass
    allowed = AllowedSources.for_users(f"s3://{bucket},{tmp_path}").open(address)
    assert len(list(allowed.list_objects())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_memory_does_not_grow_with_the_list(aws: str, tmp_path: Path, name: str) -> None:
    def listed(number: int) -> int:
        table = [{"uri": f"s3://bucket/{n:07}.mp3", "size": 1, "etag": "e"} for n in range(number)]
        WRITERS[name](tmp_path / name, table)
        del table
        source = open_source(str(tmp_path / name))
        tracemalloc.start()
        assert sum(1 for _ in source.list_objects()) == number
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    listed(1)  # what is imported stays
    few = listed(10_000)
    assert listed(40_000) < 1.5 * few + 200_000


@pytest.mark.slow
def test_objects_are_described_in_parallel_and_in_order(bucket: str, aws: str, tmp_path: Path) -> None:
    client = boto3.client("s3")
    keys = [f"{n:03}.mp3" for n in range(60)]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode() * int(key[:3]))
    (tmp_path / "list.jsonl").write_text("".join(f'{{"uri": "s3://{bucket}/{key}"}}\n' for key in keys))
    with faulty_proxy(aws) as proxy:
        access = SourceAccess.of(Settings(home=tmp_path), lambda: boto3.client("s3", endpoint_url=proxy.url))
        found = list(open_source(str(tmp_path / "list.jsonl"), access=access).list_objects())
        assert len(proxy.requests) == 60
        assert proxy.most_at_once > 4
    assert [item.size for item in found] == [7 * n for n in range(60)]
