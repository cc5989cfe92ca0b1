"""Whisper on a model batch: chunks of any recordings, encoded once, decoded together. No threads and no files here.

faster-whisper's own batched pipeline is made for the chunks of one recording: it drops what follows the last timestamp,
lets word times of one row lead those of the next, and encodes twice to tell the language. Its parts are used instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stt_pipeline.speech.engine.chunks import Chunk
from stt_pipeline.speech.engine.spectrogram import Spectrogram
from stt_pipeline.speech.engine.words import timed_words
from stt_pipeline.speech.models import LoadedModel
from stt_pipeline.speech.transcript import Segment

if TYPE_CHECKING:
    from faster_whisper.tokenizer import Tokenizer

BEAM_SIZE = 5
"""Hypotheses of a chunk that are followed side by side; Whisper's and faster-whisper's own default."""

FRAMES_A_SECOND = 100  # of the spectrogram
WINDOW = 3000
"""Frames that every Whisper was trained on, however little of them is sound: 30 s. CTranslate2 takes fewer, and is
quicker with them, but what the model makes of such a window nobody has trained it for."""

_MOST_TOKENS = 224  # half of Whisper's text context, of 448: CTranslate2 ends there, said or not
_CONTEXT = 448
_LATEST_START = 50  # 1 s in steps of 20 ms: OpenAI's max_initial_timestamp
_LEAST_FRAMES = 10  # 0.1 s: what is shorter holds no word, and cannot be aligned
_LEAST_PROGRESS = 50  # frames: decoding again from a place before this would come to the same
_HYPOTHESES = 5  # drawn at temperatures above 0, of which the likeliest is kept; OpenAI's best_of

# What is quieter is lifted, so that a far microphone sounds like those that Whisper was trained on (dBFS of the speech)
_QUIET = -40.0
_NORMAL = -25.0

Languages = Mapping[str, float]
"""How likely each language is, by its code; adds up to 1."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to decode; rows with the same :attr:`Row.key` may share a model batch.

    Attributes:
        hotwords: shown to the model as text that came before.
        beam: hypotheses side by side, at temperature 0.
        no_repeat_ngram_size: no sequence of so many tokens twice; 0 allows all.
        temperature: 0 takes what is likeliest; above, it is drawn at random.
    """

    hotwords: str = ""
    beam_size: int = BEAM_SIZE
    no_repeat_ngram_size: int = 0
    temperature: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One chunk to be decoded.

    Attributes:
        features: the spectrogram, float32 ``(bands, frames)``, without padding.
        key: what rows of one model batch have in common: the prompt's length and how to decode.
        language: empty where it has to be told, then among ``languages`` (empty: all).
    """

    chunk: Chunk
    features: npt.NDArray[np.float32]
    options: DecodeOptions
    key: tuple[object, ...]
    language: str
    languages: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """How many frames of the spectrogram are sound; the rest is padding."""
        return int(self.features.shape[-1])


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a row; times are seconds from the chunk's start.

    Attributes:
        language: in which it was decoded.
        languages: how likely each was; None where none had to be told.
        segments: with words.
        rest: from where it has to be decoded again, because the model stopped within a sentence; None if it did not.
        full: whether the text reached the most that the model can say of one chunk.
    """

    language: str
    languages: Languages | None
    segments: tuple[Segment, ...]
    rest: float | None
    full: bool


Choose = Callable[[Sequence[Languages | None]], Sequence[str]]
"""Says in which language each row is to be decoded, given how likely each language is."""


class Decoder:
    """One Whisper model; many threads may share it."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Use ``loaded``."""
        from faster_whisper.transcribe import get_suppressed_tokens

        self._whisper = loaded.whisper
        self._spectrogram = Spectrogram(loaded.whisper.feature_extractor)
        self._languages = loaded.languages
        self._tokenizers = {code: self._tokenizer(code) for code in loaded.languages}
        self._any = next(iter(self._tokenizers.values()))
        self._suppressed = list(get_suppressed_tokens(self._any, [-1]))
        self._key = lru_cache(maxsize=256)(
            self._key_of
        )  # hotwords are many tokens, and the same for a whole batch
        self.longest = float(self._whisper.feature_extractor.chunk_length)
        """Seconds that the model hears at once."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens ``text`` takes of the model's context."""
        return len(self._any.encode(text))

    def row(
        self, chunk: Chunk, options: DecodeOptions, *, language: str = "", languages: tuple[str, ...] = ()
    ) -> Row:
        """Return ``chunk`` as the model hears it."""
        features = self._spectrogram(_levelled(chunk))[:, : self._whisper.feature_extractor.nb_max_frames]
        return Row(chunk, features, options, self._key(options), language, languages)

    def decode(self, rows: Sequence[Row], choose: Choose) -> list[Decoded]:
        """Decode ``rows``, whose options have the same key.

        Raises:
            RuntimeError, ValueError, MemoryError: CTranslate2 failed.
        """
        encoded = self._encode(rows)
        told = self._tell_languages(rows, encoded)
        languages = list(choose(told))
        options = rows[0].options
        prompts = [
            self._prompt(self._tokenizers[code], row.options.hotwords)
            for row, code in zip(rows, languages, strict=True)
        ]
        how: dict[str, Any] = {"beam_size": options.beam_size, "patience": 1}
        if options.temperature > 0:
            how = {
                "beam_size": 1,
                "num_hypotheses": _HYPOTHESES,
                "sampling_topk": 0,
                "sampling_temperature": options.temperature,
            }
        results = self._whisper.model.generate(
            encoded,
            prompts,
            max_length=_CONTEXT,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=_LATEST_START,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            **how,
        )
        most = min(_MOST_TOKENS, _CONTEXT - len(prompts[0]))
        found = [
            self._read(row, code, result, most)
            for row, code, result in zip(rows, languages, results, strict=True)
        ]
        alignments = self._align(rows, languages, [pieces for pieces, _, _ in found], encoded)
        return [
            self._decoded(row, code, likely, result, pieces, rest, full, alignment)
            for row, code, likely, result, (pieces, rest, full), alignment in zip(
                rows, languages, told, results, found, alignments, strict=True
            )
        ]

    def _encode(self, rows: Sequence[Row]) -> Any:
        """Return the encoder's output for all rows, whole and where the model is.

        On a CPU they are encoded one after the other: eight windows at once fall out of its caches, and take 1.5 to 1.8
        times as long.
        """
        features = np.zeros((len(rows), rows[0].features.shape[0], WINDOW), np.float32)
        for row, into in zip(rows, features, strict=True):
            into[:, : row.frames] = row.features
        if self._whisper.model.device != "cpu" or len(rows) == 1:
            return self._whisper.encode(features)
        from ctranslate2 import StorageView

        encoded = [np.asarray(self._whisper.encode(one)) for one in features]
        return StorageView.from_array(np.concatenate(encoded))

    def _tell_languages(self, rows: Sequence[Row], encoded: Any) -> list[Languages | None]:
        if all(row.language for row in rows):
            return [None] * len(rows)
        if len(self._languages) == 1:
            return [None if row.language else {self._languages[0]: 1.0} for row in rows]
        return [
            None if row.language else _among(row.languages, {token[2:-2]: float(p) for token, p in likely})
            for row, likely in zip(rows, self._whisper.model.detect_language(encoded), strict=True)
        ]

    def _read(
        self, row: Row, code: str, result: Any, most: int
    ) -> tuple[list[dict[str, Any]], float | None, bool]:
        """Cut a row's tokens at the model's own timestamps; say where it stopped, and whether for want of room."""
        tokenizer = self._tokenizers[code]
        tokens = result.sequences_ids[0]
        pieces, seek, _ = self._whisper._split_segments_by_timestamps(
            tokenizer, tokens, 0.0, row.frames, row.frames / FRAMES_A_SECOND, 0
        )
        full = len(tokens) >= most
        if seek >= row.frames:
            return pieces, None, full
        if seek >= _LEAST_PROGRESS:
            return pieces, seek / FRAMES_A_SECOND, full
        # what follows would be the same chunk again: its text stands, up to the end
        said = sum(len(piece["tokens"]) for piece in pieces)
        start, end = seek / FRAMES_A_SECOND, row.frames / FRAMES_A_SECOND
        pieces.append({"seek": 0, "start": start, "end": end, "tokens": tokens[said:]})
        return pieces, None, full

    def _align(
        self,
        rows: Sequence[Row],
        languages: Sequence[str],
        found: Sequence[Sequence[Mapping[str, Any]]],
        encoded: Any,
    ) -> list[list[dict[str, Any]]]:
        """Return the words of each row with times: once for each language, with the other rows empty."""
        end = self._any.eot
        texts = [
            [token for piece in pieces for token in piece["tokens"] if token < end]
            if row.frames >= _LEAST_FRAMES
            else []
            for row, pieces in zip(rows, found, strict=True)
        ]
        aligned: list[list[dict[str, Any]]] = [[] for _ in rows]
        for code in sorted({code for code, text in zip(languages, texts, strict=True) if text}):
            of_it = [text if other == code else [] for other, text in zip(languages, texts, strict=True)]
            words = self._whisper.find_alignment(
                self._tokenizers[code], of_it, encoded, [max(row.frames, _LEAST_FRAMES) for row in rows]
            )
            for index, text in enumerate(of_it):
                if text:
                    aligned[index] = words[index]
        return aligned

    def _decoded(
        self,
        row: Row,
        code: str,
        likely: Languages | None,
        result: Any,
        pieces: list[dict[str, Any]],
        rest: float | None,
        full: bool,
        alignment: list[dict[str, Any]],
    ) -> Decoded:
        from faster_whisper.transcribe import get_compression_ratio

        tokenizer = self._tokenizers[code]
        end = row.frames / FRAMES_A_SECOND
        tokens = result.sequences_ids[0]
        pieces = [
            {**piece, "start": min(piece["start"], end), "end": min(piece["end"], end)} for piece in pieces
        ]
        words = timed_words(pieces, alignment, tokenizer, silence=row.chunk.silence)
        # the score is the mean over the tokens; OpenAI's figure counts the end of the text as one more
        log_probability = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
        ratio = get_compression_ratio(tokenizer.decode(tokens).strip())
        segments = tuple(
            Segment(
                start=piece["start"],
                end=piece["end"],
                text=text,
                words=words_of_it,
                avg_logprob=log_probability,
                no_speech_prob=float(result.no_speech_prob),
                compression_ratio=ratio,
                language=code,
            )
            for piece, words_of_it in zip(pieces, words, strict=True)
            if piece["start"] < piece["end"] and (text := tokenizer.decode(piece["tokens"]).strip())
        )
        return Decoded(code, likely, segments, rest, full)

    def _key_of(self, options: DecodeOptions) -> tuple[object, ...]:
        prompt = len(self._prompt(self._any, options.hotwords))
        return prompt, options.beam_size, options.no_repeat_ngram_size, options.temperature

    def _prompt(self, tokenizer: "Tokenizer", hotwords: str) -> list[int]:
        return list(self._whisper.get_prompt(tokenizer, [], hotwords=hotwords or None))

    def _tokenizer(self, code: str) -> "Tokenizer":
        from faster_whisper.tokenizer import Tokenizer

        whisper = self._whisper
        return Tokenizer(
            whisper.hf_tokenizer, whisper.model.is_multilingual, task="transcribe", language=code
        )


def _among(allowed: Sequence[str], likely: Languages) -> Languages:
    """Return the probabilities of the allowed languages alone, adding up to 1."""
    if not allowed:
        return likely
    some = {code: likely.get(code, 0.0) for code in allowed}
    total = sum(some.values())
    return {code: p / total for code, p in some.items()} if total else dict.fromkeys(some, 1 / len(some))


def _levelled(chunk: Chunk) -> npt.NDArray[np.float32]:
    """Return the chunk's sound, lifted to a normal level if its speech is quiet."""
    frames = chunk.samples[: len(chunk.samples) // 512 * 512].reshape(-1, 512)
    speech = frames[chunk.probabilities[: len(frames)] >= 0.5]
    power = float(np.mean(speech**2)) if len(speech) else 0.0
    if power <= 0 or 10 * np.log10(power) >= _QUIET:
        return chunk.samples
    gain = np.sqrt(10 ** (_NORMAL / 10) / power)
    return np.asarray(np.clip(chunk.samples * gain, -1.0, 1.0), np.float32)
