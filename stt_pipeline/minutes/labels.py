"""The fixed texts of minutes and exports: Korean for Korean recordings, English for all others."""

from typing import Final

LABELS: Final = {
    "ko": {
        "untitled": "회의",
        "empty_title": "말소리 없음",
        "empty_summary": "이 녹음에서 말소리를 찾지 못했습니다.",
        "next_meeting": "다음 회의",
        "summary": "요약",
        "topics": "안건",
        "decisions": "결정 사항",
        "action_items": "할 일",
        "task": "할 일",
        "owner": "담당",
        "due": "기한",
        "said_at": "시각",
        "keywords": "핵심어",
        "transcript": "녹취록",
        "notes": "알림",
        "when": "일시",
        "place": "장소",
        "attendees": "참석자",
        "recording": "녹음",
        "length": "길이",
        "speaker": "화자",
        "speakers": "화자",
        "none": "없음",
    },
    "en": {
        "untitled": "Meeting",
        "empty_title": "No speech",
        "empty_summary": "No speech was found in this recording.",
        "next_meeting": "Next meeting",
        "summary": "Summary",
        "topics": "Topics",
        "decisions": "Decisions",
        "action_items": "Action items",
        "task": "Task",
        "owner": "Owner",
        "due": "Due",
        "said_at": "At",
        "keywords": "Keywords",
        "transcript": "Transcript",
        "notes": "Notes",
        "when": "Date",
        "place": "Place",
        "attendees": "Attendees",
        "recording": "Recording",
        "length": "Length",
        "speaker": "Speaker",
        "speakers": "Speakers",
        "none": "None",
    },
}


def labels(language: str) -> dict[str, str]:
    """Return the labels for a language code; English for all languages except Korean."""
    return LABELS["ko" if language == "ko" else "en"]
