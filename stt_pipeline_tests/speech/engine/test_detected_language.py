"""The language of recordings is detected where it is given, from samples of their chunks, and the text stays the same."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.chunks import Cutter
from stt_pipeline.speech.engine.decoding import (
    ChooseLanguages,
    Decoded,
    DecodeOptions,
    Decoder,
    LanguageProbabilities,
    Row,
)
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline_tests.speech.engine.sounds import KO, RATE, silence, transcribe


@pytest.mark.slow
def test_another_language_is_found_and_the_text_stays_the_same(
    demo: Engine, beginning: np.ndarray, english: np.ndarray
) -> None:
    class Undetected(Decoder):
        """Detects nothing where the language is given."""

        def row(
            self, chunk: Chunk, options: DecodeOptions, *, language: str = "", detect: bool = False
        ) -> Row:
            return super().row(chunk, options, language=language)

    loaded = load_model("demo", "cpu")
    plain = Engine(loaded, batch_size=8, decoder=Undetected(loaded))
    for samples, spoken in ((english, "en"), (beginning, "ko")):
        found, expected = transcribe(demo, samples, KO), transcribe(plain, samples, KO)
        assert (found.language, found.language_probability) == ("ko", 1.0)
        assert found.detected_language == spoken
        assert found.detected_language_probability is not None
        assert found.detected_language_probability > 0.9
        assert expected.detected_language is expected.detected_language_probability is None
        unknown = {"detected_language": None, "detected_language_probability": None}
        assert replace(found, **unknown) == expected


@pytest.mark.slow
def test_only_samples_of_the_chunks_vote(beginning: np.ndarray) -> None:
    class Injected(Decoder):
        """Counts detected chunks, and detects Japanese in the first of them."""

        detected: set[int] = set()  # noqa: RUF012  # one instance

        def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
            def choose(detected: Sequence[LanguageProbabilities | None]) -> Sequence[str]:
                indices = [row.chunk.index for row in rows]
                self.detected |= {index for index, likely in zip(indices, detected, strict=True) if likely}
                japanese, korean = {"ja": 0.6, "ko": 0.4}, {"ja": 0.1, "ko": 0.9}
                return choose_languages(
                    [
                        likely and (korean if index else japanese)
                        for index, likely in zip(indices, detected, strict=True)
                    ]
                )

            return super().decode(rows, choose)

    loaded = load_model("demo", "cpu")
    samples = np.concatenate([beginning, silence(2)] * 4)
    chunks = list(Cutter(10.0).cut([samples]))
    voters = [chunk for chunk in chunks if chunk.speech_seconds >= 5]
    voters = [chunk for number, chunk in enumerate(voters, 1) if number in (1, 3, 9)]
    assert len(voters) < len(chunks)
    decoder = Injected(loaded)
    transcript = transcribe(Engine(loaded, batch_size=3, decoder=decoder), samples, KO)
    assert decoder.detected == {chunk.index for chunk in voters}
    share = sum(chunk.speech_seconds * (0.9 if chunk.index else 0.4) for chunk in voters) / sum(
        chunk.speech_seconds for chunk in voters
    )
    assert transcript.detected_language == "ko"
    assert transcript.detected_language_probability == pytest.approx(share)


@pytest.mark.parametrize("language", ["", "en"])
def test_a_model_of_one_language_detects_nothing(language: str, beginning: np.ndarray) -> None:
    loaded = replace(load_model("demo", "cpu"), languages=("en",))
    transcript = transcribe(Engine(loaded), beginning[: 5 * RATE], TranscriptionOptions(language=language))
    assert (transcript.language, transcript.language_probability) == ("en", 1.0)
    assert transcript.detected_language is transcript.detected_language_probability is None


def test_nothing_is_detected_in_little_speech(demo: Engine, beginning: np.ndarray) -> None:
    transcript = transcribe(demo, beginning[: 5 * RATE], KO)
    assert 3 < transcript.speech_seconds < 5
    assert transcript.detected_language is None
