"""Known hallucinations: sentences that Whisper writes for audio without speech, from the ends of its training videos.

A phrase alone is not suspicious, because speakers do say "감사합니다" and "see you next time": `reasons` counts it only
together with another reason. Sources: the most frequent outputs for audio without speech ("bag of hallucinations") of
Barański et al., 2025 (arXiv:2501.11378); openai/whisper discussions 679 and 928; and reports and filters of projects
that transcribe Korean with Whisper.
"""

import re

from stt_pipeline.speech.hallucination.repetition import letters

_KOREAN_VIDEOS = (
    "시청해 주셔서 감사합니다",
    "시청해 주셔서 고맙습니다",
    "끝까지 시청해 주셔서 감사합니다",
    "지금까지 시청해 주셔서 감사합니다",
    "오늘도 시청해 주셔서 감사합니다",
    "영상 시청해 주셔서 감사합니다",
    "영상 봐 주셔서 감사합니다",
    "오늘도 영상을 시청해 주셔서 감사합니다",
    "시청해 주신 여러분 감사합니다",
    "구독과 좋아요",
    "구독 좋아요",
    "구독과 좋아요 부탁드립니다",
    "구독과 좋아요 부탁드려요",
    "구독 좋아요 부탁드립니다",
    "구독과 좋아요 알림 설정 부탁드립니다",
    "구독과 좋아요 그리고 알림 설정까지 부탁드립니다",
    "좋아요와 구독 부탁드립니다",
    "다음 영상에서 만나요",
    "다음 영상에서 뵙겠습니다",
    "다음 영상에서 또 만나요",
    "오늘 영상은 여기까지입니다",
    "오늘 영상은 여기까지입니다 감사합니다",
    "자막 제공 배달의민족",
    "자막 제공 및 광고를 포함하고 있습니다",
    "자막 제공 및 자막을 사용하였습니다",
    "이 영상은 유료 광고를 포함하고 있습니다",
    "유료 광고를 포함하고 있습니다",
    "광고를 포함하고 있습니다",
)

_ENGLISH_VIDEOS = (
    "thanks for watching",
    "thanks for watching everyone",
    "thank you for watching",
    "thank you so much for watching",
    "thank you very much for watching",
    "thanks for watching and I'll see you in the next video",
    "please subscribe",
    "please subscribe to my channel",
    "please subscribe to our channel",
    "please like and subscribe",
    "please like share and subscribe",
    "subscribe to my channel",
    "like and subscribe",
    "don't forget to subscribe",
    "don't forget to like and subscribe",
    "if you enjoyed this video please subscribe",
    "see you in the next video",
    "I'll see you in the next video",
    "that's all for today's video",
    "amara.org",
    "www.mooji.org",
    "otter.ai",
)

_COURTESIES = (
    "감사합니다",
    "고맙습니다",
    "수고하셨습니다",
    "여러분 안녕",
    "안녕히 계세요",
    "들어 주셔서 감사합니다",
    "날씨였습니다",
    "아멘",
    "다음 주에 만나요",
    "다음 시간에 만나요",
    "다음 시간에 또 만나요",
    "다음 시간에 뵙겠습니다",
    "다음 시간에 또 뵙겠습니다",
    "you",
    "bye",
    "bye bye",
    "goodbye",
    "the end",
    "thank you",
    "thank you very much",
    "thank you so much",
    "thanks for listening",
    "thank you for listening",
    "see you next time",
    "I'll see you next time",
    "so",
    "oh",
    "okay",
    "we'll be right back",
)

# credits with any name; matched on letters only, without spaces and punctuation
_CREDITS = re.compile(
    r"(워싱턴에서|서울에서|지금까지)?(mbc|kbs|sbs|ytn|jtbc)뉴스[가-힣]{2,4}(입니다|이었습니다|였습니다)"
    r"|(한글|한국어)?(자막|번역)(제작|제공)?(by[가-힣a-z0-9]{1,20}|제공[가-힣a-z0-9]{2,10})"
    r"|(subtitles?|subtitled|subs|captions?|captioned|closedcaptions|transcribed|transcription|transcript|translated"
    r"|translation|editedandtranslated)(and[a-z]{4,12})?by[a-z0-9가-힣]{2,40}"
    r"|copyright[a-z0-9]{2,30}|allrightsreserved"
)

_VIDEO_PHRASES = frozenset(map(letters, _KOREAN_VIDEOS + _ENGLISH_VIDEOS))
_ALL = _VIDEO_PHRASES | frozenset(map(letters, _COURTESIES))
_SENTENCE_ENDS = re.compile(r"[.!?…。！？]+\s*")


def is_known_hallucination(text: str) -> bool:
    """Return whether ``text`` is only known hallucinations; spacing, case and punctuation are ignored."""
    return _consists_of(text, _ALL)


def is_video_phrase(text: str) -> bool:
    """Return whether ``text`` is only phrases of videos, without courtesies that are common in meetings."""
    return _consists_of(text, _VIDEO_PHRASES)


def _consists_of(text: str, phrases: frozenset[str]) -> bool:
    whole = letters(text)
    if not whole:
        return False
    sentences = [part for part in map(letters, _SENTENCE_ENDS.split(text)) if part]
    return _is_phrase(whole, phrases) or all(_is_phrase(part, phrases) for part in sentences)


def _is_phrase(compared: str, phrases: frozenset[str]) -> bool:
    return compared in phrases or _CREDITS.fullmatch(compared) is not None
