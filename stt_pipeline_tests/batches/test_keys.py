"""Partition keys: readable, ordered, safe, and reversible to the batch."""

import unicodedata

import pytest

from stt_pipeline.batches.keys import batch_id_of, batch_key, shard_key, shard_stem


def test_order_of_keys_is_order_of_intake() -> None:
    keys = [shard_key(batch, number, name) for batch in (2, 12) for number, name in ((1, "z"), (10, "a"))]
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
    ],
)
def test_a_one_file_shard_carries_the_cleaned_name(name: str, cleaned: str) -> None:
    assert shard_key(12, 17, name) == f"000012-000017:{cleaned}"


def test_a_key_tells_its_batch_and_a_safe_file_name() -> None:
    key = shard_key(1_234_567, 3, "2024-05-01: 회의.wav")
    assert batch_id_of(key) == 1_234_567
    assert batch_id_of(batch_key(12)) == 12
    assert shard_stem(key) == "1234567-000003"
    with pytest.raises(ValueError, match="invalid literal"):
        batch_id_of("nonsense")
