"""Notes about a transcript in the language of a document. Transcripts store them in English."""

import re
from typing import Final

from stt_pipeline.audio.findings import (
    ALL_TRACKS_NOTE,
    DAMAGE_NOTE,
    ENDS_EARLY_NOTE,
    SILENT_TRACK_NOTE,
    TRACK_NOTE,
)
from stt_pipeline.speech.alignment import NO_ALIGNER_NOTE
from stt_pipeline.speech.engine import DEMO_NOTE, HOTWORDS_NOTE

KOREAN_NOTES: Final = {
    DEMO_NOTE: "demo 모델로 변환했습니다. 이 모델은 합성한 회의의 어휘만 알기 때문에, 다른 녹음의 글은 뜻이 없습니다.",
    HOTWORDS_NOTE: "핫워드 {given}개 중 {dropped}개는 모델의 한도({limit} 토큰)를 넘어 쓰지 못했습니다: {words}.",
    ENDS_EARLY_NOTE: "파일이 {length}초 중 {end}초에서 끝납니다.",
    DAMAGE_NOTE: "{seconds}초를 읽지 못했습니다. 위치: {places}.",
    SILENT_TRACK_NOTE: "오디오 트랙이 {count}개인 녹음입니다. {silent}번 트랙에 소리가 없어 {number}번 트랙을 변환했습니다.",
    TRACK_NOTE: "오디오 트랙이 {count}개인 녹음입니다. {number}번 트랙을 변환했습니다.",
    ALL_TRACKS_NOTE: "오디오 트랙이 {count}개인 녹음입니다. 모든 트랙을 섞어 변환했습니다.",
    NO_ALIGNER_NOTE: "{language} 단어의 시각은 Whisper가 정한 그대로입니다. whisperx에 이 언어의 정렬 모델이 없습니다.",
}
"""Korean text of each note of a transcript, with the same fields. Of two that match, the first counts."""

_FIELD: Final = re.compile(r"\\{(\w+)\\}")
_PATTERNS: Final = {
    re.compile(_FIELD.sub(r"(?P<\1>.+)", re.escape(english)), re.S): korean
    for english, korean in KOREAN_NOTES.items()
}


def translated_note(note: str, language: str) -> str:
    """Return a stored note in Korean for "ko"; as it is for other languages, and if it is not a note of ours."""
    if language == "ko":
        for pattern, korean in _PATTERNS.items():
            if found := pattern.fullmatch(note):
                return korean.format(**found.groupdict())
    return note
