"""Finds people and teams in a Korean sentence, and their roles: subject, addressed, object and so on. No tasks, no dates.

A person is a name with a title (김 과장, 박민수 책임님), a name with 님 or 씨, a title with 님 (팀장님), or a foreign name;
a team is a noun that ends with 팀, 부서, 본부, 센터 and so on. 저, 저희 and 우리 are the speaker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stt_pipeline.speech.korean import Morpheme

Kind = Literal["person", "team", "speaker"]
Role = Literal["subject", "topic", "called", "object", "complement", "recipient", "other"]

# fmt: off
TITLES: Final = frozenset({
    # companies, by rank
    "인턴", "사원", "주임", "대리", "과장", "차장", "부장", "이사", "상무", "전무", "부사장", "사장", "부회장", "회장",
    "대표", "대표이사", "감사", "고문", "자문", "팀원", "비서", "프로", "매니저", "리더", "디렉터",
    # heads of a unit
    "실장", "팀장", "부팀장", "파트장", "본부장", "부문장", "센터장", "그룹장", "지점장", "지사장", "원장", "국장",
    "처장", "소장", "반장", "조장", "계장", "위원", "위원장", "간사", "총무",
    # research, public offices, professions
    "연구원", "연구위원", "연구소장", "선임", "책임", "수석", "전임", "주무관", "사무관", "서기관", "실무관",
    "컨설턴트", "엔지니어", "디자이너", "개발자", "기획자", "변호사", "회계사", "노무사", "세무사", "박사", "교수",
    "선생", "작가", "기자", "코치", "간호사", "CTO", "CEO", "CFO", "COO", "PM", "PL",
})
TEAM_ENDINGS: Final = (
    "팀", "부서", "본부", "센터", "파트", "사업부", "그룹", "위원회", "연구소", "협력사", "업체",
)
SURNAMES: Final = frozenset(
    "김이박최정강조윤장임한오서신권황안송유홍고문양손배백허남심노하곽성차주우구민류나진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용전피갈감계구빈봉사시아예온인제지차초태하형후"
)
# fmt: on
_RECIPIENT: Final = ("에", "에게", "께", "한테")
_TOPIC: Final = ("은", "는", "도", "께서는")


@dataclass(frozen=True, slots=True)
class Mention:
    """A person or team in a sentence. ``first`` and ``last`` are positions in its morphemes, particle included.

    ``name`` is written as spoken, without honorific and particle; it is empty for the speaker.
    """

    name: str
    kind: Kind
    role: Role
    first: int
    last: int


def mentions(text: str, parts: Sequence[Morpheme]) -> list[Mention]:
    """Return the people and teams in ``text``, in order; names joined by 과 or 와 are one mention."""
    found: list[Mention] = []
    position = 0
    while position < len(parts):
        mention = _mention_at(text, parts, position)
        if mention is None:
            position += 1
            continue
        position = mention.last + 1
        partner = _mention_at(text, parts, position) if _joins(parts, mention) else None
        if partner and partner.kind == mention.kind != "speaker":
            name = text[parts[mention.first].start : parts[partner.first].start] + partner.name
            mention = Mention(name, mention.kind, partner.role, mention.first, partner.last)
            position = mention.last + 1
        # a team within a phrase (기획팀과 협의) is neither owner nor addressee
        if mention.kind != "team" or mention.role in ("subject", "topic", "called", "recipient"):
            found.append(mention)
    return found


def _mention_at(text: str, parts: Sequence[Morpheme], first: int) -> Mention | None:
    if first >= len(parts):
        return None
    kind: Kind = "speaker"
    last = _speaker_end(parts, first)
    if last is None:
        kind, last = "person", _person_end(parts, first)
    if last is None:
        kind, last = "team", _team_end(text, parts, first)
    if last is None:
        return None
    name = "" if kind == "speaker" else text[parts[first].start : parts[last].end]
    while last + 1 < len(parts) and parts[last + 1].form in ("님", "씨", "쪽", "측"):
        last += 1
    place = kind != "person" or parts[last].form in ("쪽", "측")
    role, end = _role(parts, last, place=place)
    if kind == "speaker" and role not in ("subject", "topic"):
        return None
    return Mention(name, kind, role, first, end)


def _speaker_end(parts: Sequence[Morpheme], first: int) -> int | None:
    if parts[first].tag == "NP" and parts[first].form in ("저", "제", "저희", "우리", "나", "내"):
        end = first
        if end + 1 < len(parts) and parts[end + 1].form in ("팀", "쪽", "부서", "파트"):
            end += 1
        return end
    return None


def _person_end(parts: Sequence[Morpheme], first: int) -> int | None:
    here = parts[first]
    rest = [part.form for part in parts[first + 1 : first + 4]]
    if here.form in TITLES and here.is_noun:  # a bare title is a person only with 님
        return first if rest[:1] == ["님"] else None
    head = _word_end(parts, first)
    if here.tag == "NNG" and head > first and parts[head].form in TITLES and parts[head].form.endswith("장"):
        return head  # 개발팀장, 영업본부장
    if here.form in SURNAMES and rest and rest[0] in TITLES:
        # "전 사원" is all employees, "한 대리" is a person: the tagger reads both as determiners
        is_all_staff = (
            here.form == "전" and rest[0] in ("사원", "팀원", "위원", "연구원") and rest[1:2] != ["님"]
        )
        return None if is_all_staff else first + 1
    if here.tag == "NNP":
        # a surname, a full name, or a separate surname and given name, then a title
        for count in (0, 1):
            if len(rest) > count and rest[count] in TITLES and parts[first + 1].tag.startswith("NN"):
                return first + count + 1
        if rest[:1] in (["님"], ["씨"]):
            return first
        if len(rest) > 1 and rest[1] in ("님", "씨") and parts[first + 1].tag == "NNP":
            return first + 1
        return first if len(here.form) in (2, 3, 4) and _is_nominative(parts, first + 1) else None
    # a name that is also a word (지혜 씨): as a bound noun, 씨 follows only names
    if here.tag == "NNG" and rest[:1] == ["씨"] and parts[first + 1].tag == "NNB":
        return first
    if here.tag == "SL" and here.form[:1].isupper() and not here.form.isupper():
        return first if rest[:1] in (["님"], ["씨"]) or _is_nominative(parts, first + 1) else None
    return None


def _is_nominative(parts: Sequence[Morpheme], position: int) -> bool:
    return position < len(parts) and parts[position].tag == "JKS"


def _team_end(text: str, parts: Sequence[Morpheme], first: int) -> int | None:
    """Return the end of a run of nouns in one word with the ending of a team ("개발팀", "품질관리팀", "QA팀")."""
    if not parts[first].is_noun or (
        first and parts[first - 1].end == parts[first].start and parts[first - 1].is_noun
    ):
        return None
    last = _word_end(parts, first)
    word = text[parts[first].start : parts[last].end]
    while last > first and parts[last].form in ("쪽", "측"):
        last -= 1
        word = text[parts[first].start : parts[last].end]
    long_enough = len(word) > 2 or (len(word) == 2 and word not in TEAM_ENDINGS)
    return last if long_enough and word.endswith(TEAM_ENDINGS) else None


def _word_end(parts: Sequence[Morpheme], first: int) -> int:
    """Return the position of the last noun in the same word as the one at ``first``, without honorific."""
    last = first
    while (
        last + 1 < len(parts)
        and parts[last + 1].is_noun
        and parts[last + 1].tag != "XSN"
        and parts[last + 1].start == parts[last].end
    ):
        last += 1
    return last


def _role(parts: Sequence[Morpheme], last: int, *, place: bool) -> tuple[Role, int]:
    """Return the role given by the particle after position ``last``, and the end of the particle.

    ``place``: a team, or the side of a person (대리 쪽에서), where 에서 marks the subject.
    """
    if last + 1 >= len(parts):
        return "called", last
    after = parts[last + 1]
    if after.tag == "VCP":
        return "complement", last
    if not after.is_particle:
        if after.tag in ("SP", "SF", "SE"):
            return "called", last + 1
        return ("called", last) if after.start > parts[last].end or place else ("other", last)
    end = last + 1
    while end + 1 < len(parts) and parts[end + 1].is_particle:
        end += 1
    forms = [part.form for part in parts[last + 1 : end + 1]]
    if forms[0] in ("이", "가", "께서", "이서") or (forms[0] == "에서" and place):
        return "subject", end
    if forms[0] in _TOPIC or after.tag == "JKS":
        return "topic", end
    if after.tag == "JKV":
        return "called", end
    if after.tag == "JKO":
        return "object", end
    if forms[0] in _RECIPIENT:
        return "recipient", end
    if forms[0] in ("으로", "로"):
        return "complement", end
    return "other", end


def _joins(parts: Sequence[Morpheme], mention: Mention) -> bool:
    return parts[mention.last].form in ("과", "와", "랑", "이랑", "하고")
