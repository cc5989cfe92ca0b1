"""Forced alignment of words: whisperx and a wav2vec2 model of the language refine the word times of a transcript.

Needs the whisperx extra. Off by default: for Korean it has not yet been more accurate than Whisper's own word times.
"""

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.process_cache import once_per_process
from stt_pipeline.speech.channels import ChannelSound, read_channels
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline.speech.whisperx_extra import (
    is_installed,
    missing_extra,
    one_torch_thread,
    torch_device,
    without_warnings,
)

_MARGIN = 0.2  # seconds added on each side of a segment, since Whisper's segment times are rough

NO_ALIGNER_NOTE = "Words in language '{language}' keep Whisper's own times: whisperx has no aligner for it."

_PUNKT_FILES = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")


def align(transcript: Transcript, sound: Sound, device: str = "auto", *, model: str = "") -> Transcript:
    """Return the transcript with refined word times; segments without words, and words that are not found, keep theirs.

    Segments in a language without an aligner keep theirs too, and a note is added. Segments that did not overlap before do
    not overlap afterwards. The sound is read once, or once for each channel that was transcribed apart, with one block and
    one segment in memory. Several threads may call it at the same time.

    Args:
        transcript: of ``sound``.
        sound: the recording.
        device: "cpu", "cuda", "cuda:1" or "auto".
        model: a wav2vec2 model with a CTC head: a name on the Hugging Face hub or a local folder; empty selects whisperx's
            default for each language; a named model is used for every language.

    Raises:
        ConfigurationError: the extra is not installed, or the model cannot be loaded.
        FileError: the recording cannot be read.
    """
    if not is_installed():
        raise ConfigurationError(missing_extra("alignment of words (options.align)"))
    if not any(segment.words for segment in transcript.segments):
        return transcript
    apart = read_channels(sound)[0] if transcript.channels else None
    if apart is None:
        return _aligned_to(transcript, sound, device, model)
    segments, notes = [one for one in transcript.segments if one.channel is None], transcript.notes
    for channel in transcript.channels:
        own = [one for one in transcript.segments if one.channel == channel]
        part = replace(transcript, segments=tuple(own), notes=notes)
        result = _aligned_to(part, ChannelSound(sound, apart, channel), device, model)
        segments, notes = [*segments, *result.segments], result.notes
    return replace(transcript, segments=tuple(sorted(segments, key=lambda one: one.start)), notes=notes)


def _aligned_to(transcript: Transcript, sound: Sound, device: str, model: str) -> Transcript:
    order = sorted(range(len(transcript.segments)), key=lambda index: transcript.segments[index].start)
    aligned = list(transcript.segments)
    notes = list(transcript.notes)
    reader = _ForwardReader(sound)
    done = 0.0
    for index, following in zip_longest(order, order[1:]):
        segment = aligned[index]
        language = segment.language or transcript.language
        if not (model or language in _languages()):
            if (note := NO_ALIGNER_NOTE.format(language=language)) not in notes:
                notes.append(note)
        elif segment.words:
            # the words must not move into the previous or the next segment
            first = max(segment.start - _MARGIN, min(done, segment.start))
            last = segment.end + _MARGIN
            if following is not None:
                last = min(last, max(aligned[following].start, segment.end))
            samples, start = reader.read(first, last)
            if len(samples):
                loaded = load_aligner(language, model, torch_device(device))
                found = _found(segment.words, samples, loaded)
                aligned[index] = _aligned(segment, found, start, first, last)
        done = max(done, aligned[index].end)
    return replace(transcript, segments=tuple(aligned), notes=tuple(notes))


class _ForwardReader:
    """Reads a sound once, from front to back, and keeps only its last seconds."""

    def __init__(self, sound: Sound) -> None:
        self._blocks = sound.blocks()
        self._samples = np.zeros(0, np.float32)
        self._start = 0  # samples already dropped

    def read(self, start: float, end: float) -> tuple[Samples, float]:
        """Return the samples between two times in seconds, and their real start; ``start`` must not decrease."""
        first = max(round(start * SAMPLE_RATE), 0)
        last = round(end * SAMPLE_RATE)
        while self._start + len(self._samples) < last and (block := next(self._blocks, None)) is not None:
            kept = self._samples[max(first - self._start, 0) :]
            self._start += len(self._samples) - len(kept)
            self._samples = np.concatenate([kept, block])
        first = max(first, self._start)
        return self._samples[first - self._start : max(last - self._start, 0)], first / SAMPLE_RATE


def _found(
    words: Sequence[Word], samples: Samples, loaded: tuple[Any, Any, str]
) -> list[tuple[str, float, float]]:
    """Return text, start and end of what whisperx aligned: words, or characters in languages without spaces."""
    model, metadata, device = loaded
    text = " ".join("".join(word.text.split()) for word in words)
    with one_torch_thread():
        import whisperx

        segments = [{"text": text, "start": 0.0, "end": len(samples) / SAMPLE_RATE}]
        result = whisperx.align(segments, model, metadata, samples, device)
    return [
        ("".join(word["word"].split()), float(word.get("start", np.nan)), float(word.get("end", np.nan)))
        for word in result["word_segments"]
    ]


def _aligned(
    segment: Segment, found: list[tuple[str, float, float]], offset: float, earliest: float, latest: float
) -> Segment:
    """Return the segment with the new times; times stay monotonic, and words that were not found keep theirs.

    Args:
        segment: with words.
        found: from :func:`_found`.
        offset: start of the samples that were aligned, in seconds of the recording.
        earliest: no word starts before this.
        latest: no word ends after this.
    """
    pieces = iter(found)
    words: list[Word] = []
    for word in segment.words:
        text = "".join(word.text.split())
        spelled, starts, ends = "", list[float](), list[float]()
        while len(spelled) < len(text) and (piece := next(pieces, None)) is not None:
            spelled += piece[0]
            starts.append(piece[1])
            ends.append(piece[2])
        start, end = word.start, word.end
        if spelled == text and starts and np.isfinite([starts[0], ends[-1]]).all():
            start, end = starts[0] + offset, ends[-1] + offset
        start = min(max(round(start, 3), earliest), latest)
        end = min(max(round(end, 3), start), latest)
        earliest = end
        words.append(replace(word, start=start, end=end))
    return replace(segment, start=words[0].start, end=words[-1].end, words=tuple(words))


@once_per_process()
def _languages() -> frozenset[str]:
    """Return the languages for which whisperx has a default model."""
    with without_warnings():  # about unused audio decoders
        from whisperx.alignment import DEFAULT_ALIGN_MODELS_HF, DEFAULT_ALIGN_MODELS_TORCH
    return frozenset([*DEFAULT_ALIGN_MODELS_TORCH, *DEFAULT_ALIGN_MODELS_HF])


@once_per_process(maxsize=2)
def load_aligner(language: str, name: str, device: str) -> tuple[Any, Any, str]:
    """Return whisperx's alignment model of a language, its metadata, and the device.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    with without_warnings():
        import whisperx

        _skip_sentence_models()
        try:
            model, metadata = whisperx.load_align_model(language, device, model_name=name or None)
        except Exception as error:  # from the hub, torch or whisperx
            raise ConfigurationError(
                f"Words of language {language!r} cannot be aligned: {error}. Switch options.align off, or set a wav2vec2 model of "
                "the language that can be loaded."
            ) from error
    return model, metadata, device


@once_per_process()
def _skip_sentence_models() -> None:
    """Give NLTK empty sentence models: whisperx would download them, but its sentences are not used here."""
    import nltk
    from whisperx.alignment import PUNKT_LANGUAGES

    folder = Path(tempfile.mkdtemp(prefix="stt-punkt-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for language in {"english", *PUNKT_LANGUAGES.values()}:
        models = folder / "tokenizers" / "punkt_tab" / language
        models.mkdir(parents=True)
        for name in _PUNKT_FILES:
            (models / name).touch()
    nltk.data.path.append(str(folder))
