"""The sentences of a sample meeting: templates of the demo model's grammar, by use."""

GREETING = "그럼 회의를 시작하겠습니다."
ATTENDANCE = "참석자는 모두 {cnt}입니다."
AGENDA_OF_TWO = "오늘 회의 안건은 {T}{과/와} {T}입니다."
FIRST_TOPIC = "{T} 안건부터 논의하겠습니다."
LATER_TOPIC = "두 번째 안건은 {T}입니다."
STATUS_QUESTION = "{P}님, {T} 진행 상황을 공유해 주세요."
STATUS = "{T}{은/는} 현재 {pct} 진행되었습니다."
DATE_QUESTION = "{P}님, {D} 검토는 언제까지 가능합니까?"
DATE_ANSWER = "{day}까지 가능합니다."
AGREEMENTS = ("동의합니다.", "좋습니다.")
CONFIRMATIONS = ("네, 알겠습니다.", "네, 확인했습니다.")

REPORTS = {
    "마케팅": ("{M} 매출이 {pct} 늘었습니다.", "{mon} 매출은 {pct} 감소했습니다."),
    "채용": ("신입 사원 {cnt}{을/를} 채용할 예정입니다.", "{M}{과/와} 협의가 필요합니다."),
    "고객 지원": ("고객 문의가 {cases} 접수되었습니다.", "만족도가 {pct}{으로/로} 나타났습니다."),
    "서버 이전": ("오류 {cases}{이/가} 발견되었습니다.", "{T} 예산은 {won}입니다."),
    "보안 점검": ("오류 {cases}{이/가} 발견되었습니다.", "{M}{과/와} 협의가 필요합니다."),
    "앱 업데이트": ("오류 {cases}{이/가} 발견되었습니다.", "고객 문의가 {cases} 접수되었습니다."),
    "협력사 계약": ("계약 기간은 {n}개월입니다.", "{T} 예산은 {won}입니다."),
    "예산": ("예산이 {won} 부족합니다.", "{mon} 매출은 {pct} 감소했습니다."),
}
GENERAL_REPORTS = ("{T} 예산은 {won}입니다.", "{T}에는 {n}주가 필요합니다.", "{M}{과/와} 협의가 필요합니다.")
"""For topics that are not in REPORTS."""

DECISIONS = {
    "채용": ("{M} 인원을 {cnt} 충원하기로 결정했습니다.",),
    "예산": ("비용을 {pct} 줄이기로 했습니다.", "{T} 건은 승인되었습니다."),
}
GENERAL_DECISIONS = (
    "{T} 예산을 {won}으로 결정했습니다.",
    "{T} 일정은 {date}로 확정되었습니다.",
    "{T}{은/는} {date}부터 시작합니다.",
    "{T} 건은 승인되었습니다.",
)

ASSIGNMENTS = (
    ("제출", "{P}{이/가} {D}{을/를} {day}까지 제출하기로 했습니다."),
    ("준비", "{P}{이/가} {day}까지 {D}{을/를} 준비해 주세요."),
    ("공유", "{P}님께서 {D}{을/를} {day}까지 공유해 주시기 바랍니다."),
)
"""The task with a document, and the sentence that assigns it with a due date."""
DRAFT_ASSIGNMENT = "{D} 초안은 {P}{이/가} 맡기로 했습니다."
MINUTES_ASSIGNMENT = "회의록은 {P}{이/가} 정리해 주세요."

LAST_QUESTION = "반대 의견 있습니까?"
LAST_ANSWERS = ("그렇게 진행하겠습니다.", "동의합니다.")
NEXT_MEETINGS = (
    "다음 회의는 {day} {time}에 열겠습니다.",
    "다음 회의는 {date} {time}에 {L}에서 진행하겠습니다.",
)
CLOSING = "이상으로 회의를 마치겠습니다."
GOODBYE = "수고하셨습니다."
