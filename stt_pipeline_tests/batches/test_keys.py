"""Partition keys: readable, ordered, safe, and parsed back to the same values."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stt_pipeline.batches.keys import BatchKey, ShardKey, clean_name, parse_key


def test_order_of_keys_is_order_of_insertion() -> None:
    keys = [str(ShardKey(batch, index, name)) for batch in (2, 12) for index, name in ((1, "z"), (10, "a"))]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("board-meeting.mp3", "board-meeting.mp3"),
        ("주간 회의.m4a", "주간_회의.m4a"),
        (unicodedata.normalize("NFD", "회의.wav"), "회의.wav"),
        ("a'b\"c\n...d.wav", "a_b_c_...d.wav"),
        ("🎤 talk 🎤.ogg", "talk_.ogg"),
        ("🎤", "file"),
        ("x" * 200 + ".flac", "x" * 75 + ".flac"),
        ("가" * 200, "가" * 80),
        ("x" * 79 + " y" * 20, "x" * 79),
    ],
)
def test_a_one_file_shard_has_the_cleaned_name(name: str, cleaned: str) -> None:
    assert str(ShardKey(12, 17, name)) == f"000012-000017:{cleaned}"


def test_a_key_has_its_batch_and_a_safe_file_name() -> None:
    key = ShardKey(1_234_567, 3, "2024-05-01: 회의.wav")
    assert key.batch_key == BatchKey.parse("1234567")
    assert key.stem == "1234567-000003"
    assert str(key).startswith(key.batch_key.shard_prefix)
    assert str(BatchKey(12)) == BatchKey(12, "회의").stem == "000012"
    assert str(BatchKey(12, "회의")) == "000012:회의"


@given(st.integers(0, 10**9), st.integers(0, 10**7), st.none() | st.text(max_size=120))
@example(1, 2, "x" * 79 + " y.wav")
@example(1, 2, "가-나" * 40 + "_.m4a")
def test_a_key_is_parsed_back_to_the_same_values(batch_id: int, index: int, name: str | None) -> None:
    key = ShardKey(batch_id, index, name)
    assert ShardKey.parse(str(key)) == parse_key(str(key)) == key
    assert parse_key(str(key.batch_key)) == key.batch_key
    named = BatchKey(batch_id, key.file_name or "")
    assert parse_key(str(named)) == BatchKey.parse(str(named)) == named
    assert named.shard_prefix == key.batch_key.shard_prefix
    assert name is None or clean_name(clean_name(name)) == clean_name(name) == key.file_name


@pytest.mark.parametrize(
    "text", ["nonsense", "", "12", "000012-", "000012-17", "000012-000017:", "a00012-000017", "000012 "]
)
def test_other_text_is_not_a_key(text: str) -> None:
    with pytest.raises(ValueError, match="is not the key of a"):
        parse_key(text)
