"""Whisper on one model batch: chunks of any recordings, encoded once, decoded together. No threads and no files here.

faster-whisper's `BatchedInferencePipeline` is made for the chunks of one recording: it drops the text behind the last
timestamp, the word times of one row change those of the next, and it encodes twice to detect the language. Its parts
are used here instead (`whisper_internals`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from stt_pipeline.speech import whisper_internals
from stt_pipeline.speech.engine.hypotheses import Hypothesis, most_likely
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.engine.spectrogram import Spectrogram, normalized
from stt_pipeline.speech.engine.words import timed_words
from stt_pipeline.speech.hallucination.repetition import compression_ratio
from stt_pipeline.speech.models import LoadedModel
from stt_pipeline.speech.transcript import Segment
from stt_pipeline.speech.whisper_internals import FRAMES_PER_SECOND

BEAM_SIZE = 5
"""Hypotheses of a chunk that are searched in parallel; Whisper's and faster-whisper's default."""

WINDOW = 3000
"""Frames of the window that every Whisper was trained on, padding included: 30 s. CTranslate2 accepts fewer and is then
faster, but no model was trained for such windows."""

_CONTEXT_TOKENS = 448
_MAX_NEW_TOKENS = _CONTEXT_TOKENS // 2  # CTranslate2 stops there, even within a sentence
# Tokens that a short chunk can have, by its seconds: 14 syllables a second (`hallucination.reasons`) of up to 3 tokens each,
# and some timestamps. A model that loops would write 224 in a tenth of a second.
_TOKENS_OF_SHORT_CHUNKS = ((1.0, 64), (3.0, 144))
_MAX_INITIAL_TIMESTAMP = 50  # 1 s in steps of 20 ms, as in OpenAI's code
_MIN_FRAMES = 10  # 0.1 s: less has no word, and cannot be aligned
_MIN_SEEK = 50  # frames: decoding again from an earlier frame gives the same text
_SAMPLED_HYPOTHESES = 5  # at temperatures above 0, the most likely of these is kept; OpenAI's best_of

LanguageProbabilities = Mapping[str, float]
"""Probability of each language by its code; the sum is 1."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to decode. Rows with the same :attr:`Row.key` can share a model batch.

    Attributes:
        hotwords: given to the model as earlier text.
        beam_size: hypotheses in parallel, at temperature 0.
        no_repeat_ngram_size: no sequence of this many tokens may come twice; 0 allows all.
        temperature: 0 takes the most likely text; above 0 tokens are sampled.
    """

    hotwords: str = ""
    beam_size: int = BEAM_SIZE
    no_repeat_ngram_size: int = 0
    temperature: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One chunk of a model batch.

    Attributes:
        features: the log-mel spectrogram, float32 ``(bands, frames)``, without padding.
        key: equal for all rows of one model batch: the length of the prompt and the decode options.
        language: in which to decode; empty if the detected probabilities decide.
        detect: whether to detect the language, also where it is given.
    """

    chunk: Chunk
    features: npt.NDArray[np.float32]
    options: DecodeOptions
    key: tuple[object, ...]
    language: str
    detect: bool

    @property
    def frames(self) -> int:
        """Frames of the spectrogram, without padding."""
        return int(self.features.shape[-1])


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result of one row. Times are seconds from the chunk's start.

    Attributes:
        language: in which it was decoded.
        languages: the detected probabilities; None if the language was not detected.
        segments: with words.
        seek: where decoding has to continue, because the model stopped within a sentence; None if it did not.
        hit_token_limit: whether the text has as many tokens as the model can write.
    """

    language: str
    languages: LanguageProbabilities | None
    segments: tuple[Segment, ...]
    seek: float | None
    hit_token_limit: bool


@dataclass(frozen=True, slots=True)
class _Split:
    """A row's tokens, split at timestamps: faster-whisper's segments, and as in :class:`Decoded`."""

    segments: list[dict[str, Any]]
    seek: float | None
    hit_token_limit: bool


ChooseLanguages = Callable[[Sequence[LanguageProbabilities | None]], Sequence[str]]
"""Returns the language in which to decode each row, given the detected probabilities of each."""


class Decoder:
    """One Whisper model; many threads may share it.

    Attributes:
        max_chunk_seconds: length of the longest chunk that the model takes.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        """Use ``loaded``."""
        self._whisper = loaded.whisper
        self._features = whisper_internals.feature_settings(loaded.whisper.feature_extractor)
        self._spectrogram = Spectrogram(loaded.whisper.feature_extractor)
        self._languages = loaded.languages
        self._tokenizers = {
            code: whisper_internals.tokenizer_of(loaded.whisper, code) for code in loaded.languages
        }
        self.tokenizer = self._tokenizers[loaded.languages[0]]
        """Of one language. Text tokens are the same in all."""
        self._suppressed_tokens = whisper_internals.suppressed_tokens(self.tokenizer)
        # hotwords are many tokens, and the same for a whole batch
        self._key = lru_cache(maxsize=256)(self._key_of)
        self.max_chunk_seconds = self._features.chunk_seconds

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of ``text``."""
        return len(self.tokenizer.encode(text))

    def row(self, chunk: Chunk, options: DecodeOptions, *, language: str = "", detect: bool = False) -> Row:
        """Return ``chunk`` as a row of a model batch; without ``language`` it is detected in any case."""
        features = self._spectrogram(normalized(chunk))[:, : self._features.max_frames]
        key = (*self._key(options), _max_new_tokens(chunk.seconds))
        return Row(chunk, features, options, key, language, detect or not language)

    def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
        """Decode ``rows``, which must have the same :attr:`Row.key`.

        Raises:
            RuntimeError, ValueError, MemoryError: CTranslate2 failed.
        """
        encoded = self.encode(rows)
        probabilities = self._detect_languages(rows, encoded)
        languages = list(choose_languages(probabilities))
        prompts = [
            whisper_internals.prompt(self._whisper, self._tokenizers[code], row.options.hotwords)
            for row, code in zip(rows, languages, strict=True)
        ]
        results = [
            most_likely(found, code, self._text)
            for found, code in zip(self._generate(rows[0], encoded, prompts), languages, strict=True)
        ]
        max_tokens = min(_max_new_tokens(rows[0].chunk.seconds), _CONTEXT_TOKENS - len(prompts[0]))
        splits = [
            self._split(row, code, result.tokens, max_tokens)
            for row, code, result in zip(rows, languages, results, strict=True)
        ]
        alignments = self._align(rows, languages, splits, encoded)
        return [
            Decoded(
                code,
                likely,
                self._segments(row, code, result, split, alignment),
                split.seek,
                split.hit_token_limit,
            )
            for row, code, likely, result, split, alignment in zip(
                rows, languages, probabilities, results, splits, alignments, strict=True
            )
        ]

    def encode(self, rows: Sequence[Row]) -> Any:
        """Return the encoder's output for all rows, padded to full windows.

        On a CPU rows are encoded one by one: eight windows do not fit into its caches, and take 1.5 to 1.8 times as long.
        """
        features = np.zeros((len(rows), rows[0].features.shape[0], WINDOW), np.float32)
        for row, padded in zip(rows, features, strict=True):
            padded[:, : row.frames] = row.features
        if self._whisper.model.device != "cpu" or len(rows) == 1:
            return whisper_internals.encode(self._whisper, features)
        from ctranslate2 import StorageView

        encoded = [np.asarray(whisper_internals.encode(self._whisper, one)) for one in features]
        return StorageView.from_array(np.concatenate(encoded))

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens))).strip()

    def _generate(self, first: Row, encoded: Any, prompts: Sequence[list[int]]) -> list[list[Hypothesis]]:
        """Return the hypotheses of each row, the most likely first; one of those that were sampled.

        The rows have the same key as the ``first``.
        """
        options, new = first.options, _max_new_tokens(first.chunk.seconds)
        search: dict[str, Any] = {
            "beam_size": options.beam_size,
            "num_hypotheses": options.beam_size,
            "patience": 1,
        }
        if options.temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": _SAMPLED_HYPOTHESES,
                "sampling_topk": 0,
                "sampling_temperature": options.temperature,
            }
        results = self._whisper.model.generate(
            encoded,
            prompts,
            # CTranslate2 writes at most half of this, and at most what the prompt leaves of it
            max_length=min(max(2 * new, len(prompts[0]) + new), _CONTEXT_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed_tokens,
            max_initial_timestamp_index=_MAX_INITIAL_TIMESTAMP,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            **search,
        )
        kept = 1 if options.temperature > 0 else options.beam_size
        return [
            [
                Hypothesis(tokens, float(score), float(result.no_speech_prob))
                for tokens, score in zip(result.sequences_ids[:kept], result.scores[:kept], strict=True)
            ]
            for result in results
        ]

    def _detect_languages(self, rows: Sequence[Row], encoded: Any) -> list[LanguageProbabilities | None]:
        """Return the probabilities of the rows that need them: one step of the decoder, on the encoder's output."""
        found: list[LanguageProbabilities | None] = [None] * len(rows)
        indices = [index for index, row in enumerate(rows) if row.detect]
        if not indices:
            return found
        if len(self._languages) == 1:
            return [{self._languages[0]: 1.0} if row.detect else None for row in rows]
        model = self._whisper.model
        if model.device == "cpu" and len(indices) < len(rows):
            # a GPU takes all rows: one step of it costs less than copying some of them through the CPU
            from ctranslate2 import StorageView

            some = model.detect_language(StorageView.from_array(np.asarray(encoded)[indices]))
        else:
            every = model.detect_language(encoded)
            some = [every[index] for index in indices]
        for index, likely in zip(indices, some, strict=True):
            found[index] = {token[2:-2]: float(p) for token, p in likely}
        return found

    def _split(self, row: Row, code: str, tokens: Sequence[int], max_tokens: int) -> _Split:
        segments, seek = whisper_internals.split_segments(
            self._whisper, self._tokenizers[code], tokens, row.frames
        )
        hit_token_limit = len(tokens) >= max_tokens
        if seek >= row.frames:
            return _Split(segments, None, hit_token_limit)
        if seek >= _MIN_SEEK:
            return _Split(segments, seek / FRAMES_PER_SECOND, hit_token_limit)
        # decoding the rest would repeat the same chunk: keep its text, up to the end
        used = sum(len(segment["tokens"]) for segment in segments)
        start, end = seek / FRAMES_PER_SECOND, row.frames / FRAMES_PER_SECOND
        segments.append({"seek": 0, "start": start, "end": end, "tokens": tokens[used:]})
        return _Split(segments, None, hit_token_limit)

    def _align(
        self, rows: Sequence[Row], languages: Sequence[str], splits: Sequence[_Split], encoded: Any
    ) -> list[list[dict[str, Any]]]:
        """Return the words of each row with times: one call for each language, in which the other rows are empty."""
        end_of_text = self.tokenizer.eot
        texts = [
            [token for segment in split.segments for token in segment["tokens"] if token < end_of_text]
            if row.frames >= _MIN_FRAMES
            else []
            for row, split in zip(rows, splits, strict=True)
        ]
        frames = [max(row.frames, _MIN_FRAMES) for row in rows]
        aligned: list[list[dict[str, Any]]] = [[] for _ in rows]
        for code in sorted({code for code, text in zip(languages, texts, strict=True) if text}):
            in_language = [
                text if language == code else [] for language, text in zip(languages, texts, strict=True)
            ]
            words = whisper_internals.align_words(
                self._whisper, self._tokenizers[code], in_language, encoded, frames
            )
            for index, text in enumerate(in_language):
                if text:
                    aligned[index] = words[index]
        return aligned

    def _segments(
        self, row: Row, code: str, result: Hypothesis, split: _Split, alignment: list[dict[str, Any]]
    ) -> tuple[Segment, ...]:
        tokenizer = self._tokenizers[code]
        end = row.frames / FRAMES_PER_SECOND
        tokens = list(result.tokens)
        within = [
            {**segment, "start": min(segment["start"], end), "end": min(segment["end"], end)}
            for segment in split.segments
        ]
        words = timed_words(within, alignment, tokenizer)
        # the score is the mean over the tokens; OpenAI's avg_logprob counts the end of the text as one more
        avg_logprob = result.score * len(tokens) / (len(tokens) + 1)
        ratio = compression_ratio(tokenizer.decode(tokens).strip())
        return tuple(
            Segment(
                start=segment["start"],
                end=segment["end"],
                text=text,
                words=words_of_segment,
                avg_logprob=avg_logprob,
                no_speech_prob=result.no_speech_prob,
                compression_ratio=ratio,
                language=code,
            )
            for segment, words_of_segment in zip(within, words, strict=True)
            if segment["start"] < segment["end"] and (text := tokenizer.decode(segment["tokens"]).strip())
        )

    def _key_of(self, options: DecodeOptions) -> tuple[object, ...]:
        prompt = whisper_internals.prompt(self._whisper, self.tokenizer, options.hotwords)
        return len(prompt), options.beam_size, options.no_repeat_ngram_size, options.temperature


def _max_new_tokens(seconds: float) -> int:
    """Return the maximum number of tokens of a chunk of this length."""
    return next((tokens for limit, tokens in _TOKENS_OF_SHORT_CHUNKS if seconds <= limit), _MAX_NEW_TOKENS)
