"""Synthetic Korean text of meetings for ``benchmarks.search``: realistic word frequencies, particles and endings."""

import random
from collections.abc import Sequence
from itertools import accumulate


def _words(text: str) -> list[str]:
    return text.split()


_NOUNS = _words("""
회의 예산 일정 고객 계약 보고서 자료 검토 결과 시스템 서비스 개발 운영 품질 비용 매출 시장 전략 목표 계획 평가 분석
개선 지원 교육 인력 채용 조직 부서 담당자 팀장 본부 현장 공사 설계 시공 안전 점검 사고 도로 교통 차량 통행 요금 휴게소
터널 교량 포장 보수 유지 관리 장비 자재 구매 입찰 업체 협력사 발주 납품 검수 하자 민원 홍보 언론 기자 행사 캠페인
브랜드 광고 콘텐츠 영상 사진 디자인 화면 버튼 메뉴 기능 오류 테스트 배포 서버 네트워크 보안 암호 권한 계정 로그 데이터
모델 학습 음성 인식 번역 요약 문서 양식 규정 지침 법률 소송 특허 감사 회계 세금 환율 이자 대출 투자 주식 채권 펀드
수익 손실 위험 보험 연금 급여 복지 휴가 출장 근무 야근 노조 협상 파업 합의 조정 승인 결재 보류 취소 변경 연장 단축
축소 확대 신설 폐지 통합 분리 이전 설치 철거 임대 건물 사무실 주차장 식당 창고 공장 생산 공정 재고 물류 배송 포장재
원료 에너지 전력 태양광 배터리 온도 습도 소음 진동 먼지 폐수 환경 기후 탄소 배출 규제 인증 표준 시험 연구 논문 학회
대학 학생 교수 강의 시험지 성적 병원 환자 의사 간호사 진료 수술 약품 백신 검진 식품 위생 농가 쌀 과일 채소 축산 어업
항만 선박 항공 공항 철도 지하철 버스 택시 자전거 보행자 신호등 횡단보도 지도 위성 센서 카메라 드론 로봇 자동화 알고리즘
반도체 통신 주파수 전화 문자 이메일 게시판 설문 응답 통계 지표 그래프 예측 추세 수요 공급 가격 할인 쿠폰 포인트 회원
가입 탈퇴 환불 교환 상담 문의 불만 만족 칭찬 제안 아이디어 토론 발표 질문 답변 의견 동의 반대 표결 위원 위원장 이사
주주 총회 정관 의결 안건 회의록 서명 날인 우편 택배 도서 신문 방송 라디오 음악 영화 공연 전시 관광 호텔 여행 축제 체육
축구 야구 농구 수영 등산 건강 운동 수면 식사 커피 주말 명절 생일 결혼 가족 자녀 부모 친구 이웃 지역 주민 시청 구청
국회 정부 장관 대통령 선거 정책 법안 예규 조례 공무원 경찰 소방 군인 국방 외교 무역 수출 수입 관세 통관 조사 수사 재판
판사 변호사 증거
""")
_VOCABULARY = 4_500
_SURNAMES = "김이박최정강조윤장임한오서신권황안송류홍"
_SYLLABLES = "민서준지현우영수진호성경은혜정윤재석동원태규상연주희선미"
_PLACES = _words("""
서울 부산 대구 인천 광주 대전 울산 세종 수원 성남 고양 용인 청주 천안 전주 여수 포항 창원 김해 제주 강릉 원주 춘천
목포
""")
_KINDS = _words("""
지사 사업소 센터 연구소 물류센터 지점 공장 사무소 교육원 상황실
""")
_WITH_NOUN = ("를", "에서", "은", "가", "의", "에", "와", "도", "까지", "부터", "에서는", "로", "만", "보다")
_ENDINGS = (
    "했습니다", "하기로 했습니다", "해야 합니다", "하고", "해서", "하면", "했는데", "하겠습니다", "할까요", "하지 않았습니다",
)  # fmt: skip
_ACTIONS = _words("""
검토 진행 결정 확인 논의 공유 준비 정리 완료 시작 보완 수정 요청 제출 협의 추진 강화 마련 활용 적용
""")
_VERBS = _words("""
늘었습니다 줄었습니다 빨라졌어요 어려워서 좋아졌고 나왔는데 들어왔습니다 보냈습니다 받았고 만들었습니다 바꿨습니다 썼는데
""")
_FILLERS = _words("""
그리고 그래서 일단 우선 다음 이번 지난 조금 많이 이미 아직 다시 특히 아마 계속
""")


class Speech:
    """Draws text in two halves: the same grammar, different nouns."""

    def __init__(self, seed: int) -> None:
        """Make the vocabularies, of 4,500 nouns each, the most frequent one first."""
        self._rng = random.Random(seed)
        names = [
            surname + first + second for surname in _SURNAMES for first in _SYLLABLES for second in _SYLLABLES
        ]
        places = [f"{place} {kind}" for place in _PLACES for kind in _KINDS]
        codes = [
            f"{letters}{number}"
            for letters in ("API", "KX", "QR", "GPT", "SLA", "ERP")
            for number in range(100, 500)
        ]
        rest = [*names, *places, *codes]
        words = _NOUNS[1:]
        self._rng.shuffle(rest)
        self._rng.shuffle(words)
        self.nouns: tuple[Sequence[str], Sequence[str]] = (
            self._half(words[::2], rest[::2]),
            self._half(words[1::2], rest[1::2]),
        )
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(_VOCABULARY)))
        self._phrases: list[str] = []

    def _half(self, words: Sequence[str], rest: Sequence[str]) -> Sequence[str]:
        pairs = [f"{one}{other}" for one in words[:40] for other in words[100:140]]
        others = [*rest, *pairs]
        self._rng.shuffle(others)
        # this word is in both halves
        return ["회의", *words, *others][:_VOCABULARY]

    def paragraphs(self, count: int, lines: int) -> list[list[str]]:
        """Return paragraphs of the two halves in turn."""
        return [self.paragraph(number % 2, lines) for number in range(count)]

    def paragraph(self, half: int, lines: int) -> list[str]:
        """Return lines of 25 words."""
        return [self._line(half) for _ in range(lines)]

    def inflected(self, word: str) -> str:
        """Return a word with a random particle."""
        return word + self._rng.choice(_WITH_NOUN)

    def phrase(self, rng: random.Random) -> str:
        """Return two words that are next to each other in some paragraph."""
        return rng.choice(self._phrases)

    def _line(self, half: int) -> str:
        words: list[str] = []
        while len(words) < 25:
            nouns = self._rng.choices(
                self.nouns[half], cum_weights=self._weights, k=self._rng.choice((1, 2, 2, 3))
            )
            if self._rng.random() < 0.4:
                words.append(self._rng.choice(_FILLERS))
            words += [self.inflected(noun) for noun in nouns]
            if self._rng.random() < 0.3:
                words.append(self._rng.choice(_VERBS))
            else:
                words.append(self._rng.choice(_ACTIONS) + self._rng.choice(_ENDINGS))
                if len(self._phrases) < 5_000 and len(words) >= 2:
                    self._phrases.append(f"{words[-2]} {words[-1]}")
        return " ".join(" ".join(words).split()[:25]) + "."
