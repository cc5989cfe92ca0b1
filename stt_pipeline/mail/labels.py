"""Fixed texts of the mails in Korean and English, in addition to those of the minutes: labels and error classes."""

from typing import Final

from stt_pipeline.minutes.labels import labels as labels_of_minutes

LABELS: Final = {
    "ko": {
        "minutes_subject": "[회의록]",
        "link": "회의록과 녹취록",
        "too_large": "회의록 파일이 커서 첨부하지 않았습니다.",
        "minutes_footer": "자동으로 만든 회의록입니다. 중요한 내용은 녹음과 대조해 주세요.",
        "batch_subject": "[음성 변환 결과]",
        "status": "상태",
        "status_completed": "완료",
        "status_failed": "실패",
        "status_cancelled": "취소",
        "all_files": "파일 {total}개",
        "some_failed": "파일 {total}개 중 {failed}개 실패",
        "undelivered": "회의록을 보내지 못한 파일",
        "without_speech": "말소리가 없는 녹음",
        "recordings": "녹음별 회의록",
        "other_recordings": "이 밖의 녹음 {count}개",
        "repeated_recordings": "전에 보낸 것과 같은 녹음 {count}개는 다시 싣지 않았습니다.",
        "total": "전체 파일",
        "completed": "완료",
        "failed": "실패",
        "audio": "음성 길이",
        "took": "걸린 시간",
        "failures": "실패한 파일",
        "error_class": "분류",
        "count": "개수",
        "example": "예",
        "no_failures": "실패한 파일이 없습니다.",
        "batch_footer": "음성 변환 시스템이 자동으로 보낸 메일입니다.",
    },
    "en": {
        "minutes_subject": "[Minutes]",
        "link": "Minutes and transcript",
        "too_large": "The file of the minutes is too large to attach.",
        "minutes_footer": "These minutes were generated automatically. Check important points against the recording.",
        "batch_subject": "[Batch report]",
        "status": "Status",
        "all_files": "{total} files",
        "some_failed": "{failed} of {total} files failed",
        "undelivered": "Files whose minutes could not be sent",
        "without_speech": "Recordings without speech",
        "recordings": "Minutes of the recordings",
        "other_recordings": "{count} more recordings",
        "repeated_recordings": "{count} recordings are the same as ones sent before, and are not listed again.",
        "total": "Files",
        "completed": "Completed",
        "failed": "Failed",
        "audio": "Audio",
        "took": "Duration",
        "failures": "Failed files",
        "error_class": "Class",
        "count": "Count",
        "example": "Example",
        "no_failures": "No file failed.",
        "batch_footer": "Sent automatically by the transcription system.",
    },
}

ERROR_CLASSES: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "ko": {
        "unreadable": (
            "읽을 수 없는 파일",
            "음성 파일이 아니거나, 비어 있거나, 손상된 파일입니다. 원본을 확인하고 다시 올려 주세요.",
        ),
        "too_large": (
            "너무 큰 파일",
            "파일 크기가 STT_MAX_FILE_BYTES보다 크거나, 음성이 STT_MAX_AUDIO_HOURS보다 깁니다. "
            "파일을 나누어 다시 올리거나 담당자에게 한도를 늘려 달라고 요청하세요.",
        ),
        "no_audio": (
            "소리가 없는 파일",
            "소리 트랙이 없는 영상이거나, 트랙이 비어 있습니다. 소리가 녹음된 파일인지 확인해 주세요.",
        ),
        "download": (
            "가져오지 못한 파일",
            "파일이 삭제되었거나, 접근 권한이 없거나, 저장소가 응답하지 않았습니다. 원인을 해결한 뒤 다시 시도하세요.",
        ),
        "model": (
            "음성 인식 오류",
            "음성 인식 모델이 이 파일을 처리하지 못했습니다. 다시 시도하고, 계속 실패하면 담당자에게 알려 주세요.",
        ),
        "out_of_memory": (
            "메모리 부족",
            "처리하는 장치의 메모리가 부족했습니다. 다른 작업이 끝난 뒤 다시 시도하거나 더 작은 모델을 쓰세요.",
        ),
        "llm": (
            "회의록 작성 오류",
            "녹취록은 저장했지만 회의록을 만들지 못했습니다. 다시 시도하면 회의록만 새로 만듭니다.",
        ),
        "email": (
            "메일 발송 오류",
            "회의록은 저장했지만 메일로 보내지 못했습니다. 메일 주소와 메일 서버를 확인한 뒤 다시 시도하세요.",
        ),
        "internal": (
            "내부 오류",
            "예상하지 못한 오류입니다. 다시 시도하고, 계속 실패하면 담당자에게 실행 로그를 확인해 달라고 요청하세요.",
        ),
    },
    "en": {
        "unreadable": (
            "Unreadable file",
            "The file is not audio, is empty, or is damaged. Check the original and upload it again.",
        ),
        "too_large": (
            "Too large",
            "The file is larger than STT_MAX_FILE_BYTES, or its audio is longer than STT_MAX_AUDIO_HOURS. "
            "Split it, or ask your administrator to raise the limit.",
        ),
        "no_audio": (
            "No audio",
            "The file is a video without an audio track, or its track is empty. Check that sound was recorded.",
        ),
        "download": (
            "Download failed",
            "The file was deleted, access was denied, or the storage did not answer. Correct that, then retry.",
        ),
        "model": (
            "Speech recognition failed",
            "The speech model could not process the file. Retry; if it fails again, tell your administrator.",
        ),
        "out_of_memory": (
            "Out of memory",
            "The device ran out of memory. Retry when other work has ended, or use a smaller model.",
        ),
        "llm": (
            "Minutes failed",
            "The transcript is stored, but the minutes could not be written. A retry writes only the minutes.",
        ),
        "email": (
            "Mail failed",
            "The minutes are stored, but could not be mailed. Check the address and the mail server, then retry.",
        ),
        "internal": (
            "Internal error",
            "An unexpected error. Retry; if it fails again, ask your administrator to read the log of the run.",
        ),
    },
}
"""The label of each error class, and a sentence or two about its cause and what to do."""


def labels(language: str) -> dict[str, str]:
    """Return the labels for a language code, with those of the minutes: Korean for "ko", else English."""
    return labels_of_minutes(language) | LABELS["ko" if language == "ko" else "en"]


def error_texts(error_class: str, language: str) -> tuple[str, str]:
    """Return the label and the explanation of an error class; those of ``internal`` for a class that is unknown."""
    texts = ERROR_CLASSES["ko" if language == "ko" else "en"]
    return texts.get(error_class, texts["internal"])
