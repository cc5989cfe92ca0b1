"""Fixed texts of the mails in Korean and English, in addition to those of the minutes."""

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
        "examples": "예",
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
        "examples": "Examples",
        "no_failures": "No file failed.",
        "batch_footer": "Sent automatically by the transcription system.",
    },
}


def labels(language: str) -> dict[str, str]:
    """Return the labels for a language code, with those of the minutes: Korean for "ko", else English."""
    return labels_of_minutes(language) | LABELS["ko" if language == "ko" else "en"]
