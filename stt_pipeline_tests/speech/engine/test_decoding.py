"""The decoder with chunks of many recordings in one batch: the same as alone, and no text is lost."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.speech.engine.chunks import Cutter
from stt_pipeline.speech.engine.decoding import Decoded, DecodeOptions, Decoder, Row
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.engine.spectrogram import normalized
from stt_pipeline.speech.models import load_model
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.speech.engine.sounds import RATE


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(load_model("demo", "cpu"))


def chunks_of(name: str) -> list[Chunk]:
    samples = decode(SAMPLES / name)
    return list(Cutter(10.0).cut([samples]))


@pytest.fixture(scope="module")
def chunks() -> list[Chunk]:
    """Of two recordings in two formats, mixed."""
    pairs = zip(chunks_of("weekly-budget.wav")[:5], chunks_of("year-end.mp3")[:5], strict=True)
    return [chunk for pair in pairs for chunk in pair]


def decode_rows(decoder: Decoder, rows: Sequence[Row]) -> list[Decoded]:
    return decoder.decode(rows, lambda _: [row.language or "ko" for row in rows])


def rows_of(decoder: Decoder, chunks: Sequence[Chunk], language: str = "ko", **options: Any) -> list[Row]:
    return [decoder.row(chunk, DecodeOptions(**options), language=language) for chunk in chunks]


def words(decoded: Decoded) -> list[tuple[float, float, str]]:
    return [(word.start, word.end, word.text) for segment in decoded.segments for word in segment.words]


class TestTogether:
    @pytest.mark.slow
    def test_many_give_what_each_gives_alone(self, decoder: Decoder, chunks: list[Chunk]) -> None:
        rows = rows_of(decoder, chunks)
        alone = [decode_rows(decoder, [row])[0] for row in rows]
        for size in (3, 10):
            together = [
                one
                for first in range(0, len(rows), size)
                for one in decode_rows(decoder, rows[first : first + size])
            ]
            for one, other in zip(together, alone, strict=True):
                assert [s.text for s in one.segments] == [s.text for s in other.segments]
                assert [(s.start, s.end) for s in one.segments] == [(s.start, s.end) for s in other.segments]
                assert words(one) == words(other)
                assert (one.seek, one.hit_token_limit) == (other.seek, other.hit_token_limit)

    @pytest.mark.slow
    def test_each_row_has_its_own_language(self, decoder: Decoder, chunks: list[Chunk]) -> None:
        rows = [
            decoder.row(chunk, DecodeOptions(), language=code)
            for chunk, code in zip(chunks[:4], ("ko", "en", "en", "ko"), strict=True)
        ]
        for row, together in zip(rows, decode_rows(decoder, rows), strict=True):
            (alone,) = decode_rows(decoder, [row])
            assert together.language == row.language
            assert {segment.language for segment in together.segments} <= {row.language}
            assert [s.text for s in together.segments] == [s.text for s in alone.segments]
            assert words(together) == words(alone)

    @pytest.mark.slow
    def test_an_empty_row_does_not_change_its_neighbours(self, decoder: Decoder, chunks: list[Chunk]) -> None:
        click = Chunk.of(0, 0, np.zeros(512, np.float32), np.ones(1, np.float32))
        rows = rows_of(decoder, [chunks[0], click, chunks[1]])
        first, _, last = decode_rows(decoder, rows)
        assert words(first) == words(decode_rows(decoder, rows[:1])[0])
        assert words(last) == words(decode_rows(decoder, rows[2:])[0])

    @pytest.mark.slow
    def test_the_language_is_detected_from_the_same_encoding(
        self, decoder: Decoder, chunks: list[Chunk]
    ) -> None:
        encoded: list[int] = []
        loaded = load_model("demo", "cpu")

        class Counting:
            """The model, counting the chunks that it encodes."""

            def __getattr__(self, name: str) -> Any:
                return getattr(loaded.whisper, name)

            def encode(self, features: np.ndarray) -> Any:
                encoded.append(1 if features.ndim == 2 else len(features))
                return loaded.whisper.encode(features)

        counting = Decoder(replace(loaded, whisper=Counting()))
        found = counting.decode(
            rows_of(counting, chunks, language=""), lambda detected: ["ko"] * len(detected)
        )
        assert sum(encoded) == len(chunks)
        assert all(one.languages and one.languages["ko"] > 0.9 for one in found)
        assert all(abs(sum(one.languages.values()) - 1) < 1e-3 for one in found if one.languages)

    @pytest.mark.slow
    def test_detection_where_the_language_is_given_changes_no_text(
        self, decoder: Decoder, chunks: list[Chunk]
    ) -> None:
        plain = rows_of(decoder, chunks[:4])
        some = [
            decoder.row(chunk, DecodeOptions(), language="ko", detect=index in (1, 2))
            for index, chunk in enumerate(chunks[:4])
        ]
        before, after = decode_rows(decoder, plain), decode_rows(decoder, some)
        assert [replace(one, languages=None) for one in after] == before
        assert [one.languages is not None for one in after] == [False, True, True, False]
        every = decode_rows(decoder, rows_of(decoder, chunks[:4], language=""))
        for one, other in zip(after[1:3], every[1:3], strict=True):
            assert one.languages and one.languages == pytest.approx(other.languages, abs=1e-6)


class TestNoTextIsLost:
    def tokens(self, decoder: Decoder, *parts: str | float) -> list[int]:
        tokenizer = decoder.tokenizer
        return [
            token
            for part in parts
            for token in (
                [tokenizer.timestamp_begin + round(part / 0.02)]
                if isinstance(part, float)
                else tokenizer.encode(part)
            )
        ]

    def read(self, chunk: Chunk, tokens: list[int]) -> Decoded:
        """Decode ``chunk`` with a model that writes ``tokens``."""
        loaded = load_model("demo", "cpu")

        class Result:
            sequences_ids = (tokens,)
            scores = (-0.2,)
            no_speech_prob = 0.0

        class Model:
            def __getattr__(self, name: str) -> Any:
                return getattr(loaded.whisper.model, name)

            def generate(self, *_: Any, **__: Any) -> list[Result]:
                return [Result()]

        whisper = copy.copy(loaded.whisper)
        whisper.model = Model()
        writing = Decoder(replace(loaded, whisper=whisper))
        return decode_rows(writing, rows_of(writing, [chunk]))[0]

    def test_text_after_the_last_timestamp_is_decoded_again(
        self, decoder: Decoder, chunks: list[Chunk]
    ) -> None:
        chunk = next(one for one in chunks if one.seconds > 6)
        tokens = self.tokens(decoder, 0.0, " 네.", 2.0, 2.0, " 알겠습니다.", 3.0, 3.0, " 그런데 예산")
        decoded = self.read(chunk, tokens)
        assert [segment.text for segment in decoded.segments] == ["네.", "알겠습니다."]
        assert decoded.seek == 3.0

    def test_text_that_would_come_again_is_kept(self, decoder: Decoder, chunks: list[Chunk]) -> None:
        tokens = self.tokens(decoder, 0.0, 0.0, " 그런데 예산")
        decoded = self.read(chunks[0], tokens)
        assert [segment.text for segment in decoded.segments] == ["그런데 예산"]
        assert decoded.segments[0].end == pytest.approx(chunks[0].seconds, abs=0.02)
        assert decoded.seek is None

    def test_times_in_the_padding_are_held_within_the_chunk(
        self, decoder: Decoder, chunks: list[Chunk]
    ) -> None:
        decoded = self.read(chunks[0], self.tokens(decoder, 0.0, " 네.", 29.0))
        (segment,) = decoded.segments
        assert segment.end <= chunks[0].seconds
        assert all(word.end <= segment.end for word in segment.words)

    @pytest.mark.slow
    def test_a_chunk_that_reaches_the_token_limit_says_so(
        self, decoder: Decoder, chunks: list[Chunk]
    ) -> None:
        tokens = self.tokens(decoder, 0.0, *[" 네"] * 300)[:224]
        assert self.read(chunks[0], tokens).hit_token_limit
        assert not self.read(chunks[0], tokens[:200]).hit_token_limit


@pytest.mark.slow
def test_quiet_speech_is_amplified_and_other_speech_unchanged(decoder: Decoder, chunks: list[Chunk]) -> None:
    chunk = chunks[0]
    assert normalized(chunk) is chunk.samples
    quiet = Chunk.of(0, 0, chunk.samples * np.float32(10 ** (-45 / 20)), chunk.probabilities)
    loud = normalized(quiet)
    assert np.abs(loud).max() <= 1.0
    assert np.sqrt(np.mean(loud**2)) > 30 * np.sqrt(np.mean(quiet.samples**2))
    text = [segment.text for segment in decode_rows(decoder, rows_of(decoder, [chunk]))[0].segments]
    assert [segment.text for segment in decode_rows(decoder, rows_of(decoder, [quiet]))[0].segments] == text
    silent = Chunk.of(0, 0, np.zeros(RATE, np.float32), np.zeros(32, np.float32))
    assert not normalized(silent).any()


def test_rows_share_a_model_batch_by_the_length_of_their_prompt(
    decoder: Decoder, chunks: list[Chunk]
) -> None:
    def key(**options: Any) -> object:
        return decoder.row(chunks[0], DecodeOptions(**options)).key

    assert key() == decoder.row(chunks[1], DecodeOptions(), language="en").key
    assert (
        len(
            {key(), key(hotwords="예산"), key(beam_size=1), key(no_repeat_ngram_size=3), key(temperature=0.4)}
        )
        == 5
    )


def test_a_short_chunk_has_few_tokens_and_its_own_model_batches(
    decoder: Decoder, chunks: list[Chunk]
) -> None:
    """A model that loops writes hundreds of tokens in a tenth of a second."""
    short, long = chunks[0].part(0.0, 0.3), chunks[0]
    keys = {decoder.row(one, DecodeOptions(), language="ko").key for one in (short, long)}
    assert len(keys) == 2
    asked: list[int] = []
    loaded = load_model("demo", "cpu")

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(loaded.whisper.model, name)

        def generate(self, *arguments: Any, max_length: int, **options: Any) -> Any:
            asked.append(max_length)
            return loaded.whisper.model.generate(*arguments, max_length=max_length, **options)

    whisper = copy.copy(loaded.whisper)
    whisper.model = Watched()
    watched = Decoder(replace(loaded, whisper=whisper))
    for chunk in (short, long):
        decode_rows(watched, rows_of(watched, [chunk]))
        decode_rows(watched, rows_of(watched, [chunk], hotwords="예산 " * 90))
    assert asked[0] == 2 * 64
    assert 64 + 90 < asked[1] < 448
    assert asked[2:] == [448, 448]
