"""The options of a batch: invalid values are refused with a reason, and valid ones reach the transcriber."""

from typing import Any

import pytest

from stt_pipeline.batches.requests.options import BatchOptions, speaker_count, transcription_options
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.diarization import SpeakerCount
from stt_pipeline.speech.language_codes import LANGUAGE_CODES
from stt_pipeline.speech.recordings import TranscriptionOptions


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"language": "korean"}, "'korean' is not a language code of Whisper"),
        ({"languages": ["ko", "xx"]}, "'xx' is not a language code"),
        ({"language": "ko", "multilingual": True}, "leave out one"),
        ({"audio_track": "0"}, "'0' is not an audio track: give auto, all or a number"),
        ({"audio_track": "first"}, "'first' is not an audio track"),
        ({"language": "ja", "languages": ["ko", "en"]}, "language ja is not among the languages ko, en"),
        (
            {"terms": {"API": ["에이피아이"], "A.P.I.": ["에이 피아이"]}},
            "'에이 피아이' is a variant of both 'API' and 'A.P.I.'",
        ),
        ({"terms": {"Kim": ["Gim"], "gim": ["짐"]}}, "'gim' is a spelling, and a variant of 'Kim'"),
        ({"terms": {"API": [" "]}}, "'API' or one of its variants is empty"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        validated(BatchOptions, options)
    assert reason in str(refused.value)


def test_all_options_reach_the_transcriber() -> None:
    options = BatchOptions(
        languages=["KO", "en"],
        multilingual=True,
        hotwords="예산안, 김 과장 ,,예산안",
        attendees=["이 대리", "김 과장"],
        terms={"API": ["에이피아이", "api"]},
        remove_fillers=True,
    )
    assert transcription_options(options, language="ja") == TranscriptionOptions(
        language="",
        languages=("ko", "en"),
        multilingual=True,
        hotwords=("예산안", "김 과장", "이 대리"),
        terms=(("API", ("에이피아이", "api")),),
        remove_fillers=True,
    )


def test_languages_are_normalized_and_unique() -> None:
    assert BatchOptions(languages=["", "KO", " ", "ko", "en"]).languages == ["ko", "en"]
    assert transcription_options(BatchOptions(languages=[""]), language="ja").language == "ja"


@pytest.mark.parametrize(
    ("options", "language"),
    [({}, "ja"), ({"language": "ko"}, "ko"), ({"languages": ["ko", "en"]}, ""), ({"multilingual": True}, "")],
)
def test_the_setting_is_used_without_an_option_about_languages(
    options: dict[str, Any], language: str
) -> None:
    assert transcription_options(BatchOptions(**options), language="ja").language == language


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({}, SpeakerCount()),
        ({"min_speakers": 2}, SpeakerCount(min_speakers=2)),
        ({"max_speakers": 4}, SpeakerCount(max_speakers=4)),
        ({"min_speakers": 3, "max_speakers": 3}, SpeakerCount(3, 3)),
    ],
)
def test_the_number_of_speakers(options: dict[str, Any], bounds: SpeakerCount) -> None:
    assert speaker_count(BatchOptions(**options)) == bounds


def test_the_codes_are_those_of_faster_whisper() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    assert set(_LANGUAGE_CODES) == LANGUAGE_CODES
