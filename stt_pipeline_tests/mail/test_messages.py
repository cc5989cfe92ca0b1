"""The text of mails, and that text from a transcript cannot break them."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, get_args

import pytest

from stt_pipeline.errors import ErrorClass, InvalidRequestError
from stt_pipeline.mail.labels import ERROR_CLASSES, LABELS
from stt_pipeline.mail.mail import Mail, address, message_id
from stt_pipeline.mail.messages import rendered
from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.notify.events import Attachment, Digest, DigestEntry
from stt_pipeline_tests.notify.events import BATCH_ENDED, MINUTES_READY

EVIL = "<script>alert('x')</script> & \"y\""
MINUTES = MINUTES_READY.minutes


def minutes_mail(**changes: Any) -> Mail:
    return rendered(replace(MINUTES_READY, **changes), "kim@example.com")


def report_mail(**changes: Any) -> Mail:
    return rendered(replace(BATCH_ENDED, **changes), "kim@example.com")


class Page(HTMLParser):
    """Collects text and tags, and fails on tags that do not match."""

    VOID = ("meta", "br", "img")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_minutes_are_in_text_and_html_with_korean_labels() -> None:
    mail = minutes_mail(link="https://stt.example.com/7")
    assert mail.subject == "[회의록] 2026-11-22 예산, 채용 - 주간 회의.m4a"
    page = Page(mail.html)
    facts = MINUTES_READY.facts
    for text in (page.text, mail.text):
        assert (
            text.index("2026년 11월 22일(일) 14:00")
            < text.index("3층 회의실")
            < text.index("김 과장, 이 대리")
        )
        for part in (
            *(f"{label}: {value}" if text is mail.text else f"{label} {value}" for label, value in facts),
            "결정 사항",
            "예산안 제출",
            "김 과장",
            "12월 3일",
            MINUTES_READY.notes[0],
        ):
            assert part in text
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == [
        "https://stt.example.com/7"
    ]


def test_other_languages_have_english_labels() -> None:
    page = Page(minutes_mail(language="de").html)
    assert "Action items" in page.text and "할 일" not in page.text


def test_the_labels_of_both_languages_are_the_same_set() -> None:
    statuses = {
        key for key in LABELS["ko"] if key.startswith("status_")
    }  # English shows the status as stored
    assert LABELS["ko"].keys() - statuses == LABELS["en"].keys()


def test_every_error_class_has_a_label_and_an_explanation_in_both_languages() -> None:
    assert all(texts.keys() == set(get_args(ErrorClass)) for texts in ERROR_CLASSES.values())
    for error_class in get_args(ErrorClass):
        for language, is_korean in (("ko", True), ("en", False)):
            label, explanation = ERROR_CLASSES[language][error_class]
            assert explanation.endswith(".") and len(explanation) > len(label) > 0
            assert [bool(re.search("[가-힣]", text)) for text in (label, explanation)] == [is_korean] * 2


def test_empty_minutes_have_no_empty_sections() -> None:
    empty = Minutes("말소리 없음", "이 녹음에서 말소리를 찾지 못했습니다.")
    mail = minutes_mail(minutes=empty, facts=(), notes=())
    page = Page(mail.html)
    assert empty.summary in page.text and "할 일" not in page.text and "결정 사항" not in mail.text


def test_text_from_a_transcript_is_escaped() -> None:
    minutes = Minutes(EVIL, EVIL, (EVIL,), (EVIL,), (ActionItem(EVIL, EVIL, EVIL),), (EVIL,))
    page = Page(minutes_mail(minutes=minutes, notes=(EVIL,), facts=((EVIL, EVIL),)).html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "a")]
    assert page.text.count("<script>alert('x')</script>") >= 7
    digest = Digest((DigestEntry(EVIL, EVIL, EVIL, when=EVIL, notes=(EVIL,)),), notes=(EVIL,))
    failed = {"failures_by_class": {"unreadable": 1}, "examples": ((EVIL, "unreadable", EVIL),)}
    page = Page(report_mail(name=EVIL, language="en", facts=((EVIL, EVIL),), digest=digest, **failed).html)
    assert not [tag for tag, _ in page.tags if tag == "script"]


def test_a_title_with_line_breaks_makes_a_subject_of_one_line() -> None:
    mail = minutes_mail(minutes=replace(MINUTES, title="예산\r\nBcc: spy@example.com\0" + "길" * 500))
    assert "\n" not in mail.subject and "\r" not in mail.subject and "\0" not in mail.subject
    assert len(mail.subject) <= 120


def test_a_batch_report_has_counts_hours_duration_and_failures_by_class() -> None:
    mail = report_mail()
    assert mail.subject == "[음성 변환 결과] 2026-11-23 연말 회의: 완료, 파일 12,000개 중 10개 실패"
    page = Page(mail.html)
    for text in (page.text, mail.text):
        for part in ("12,000", "11,990", "8,123:30:00", "30:00:00"):
            assert part in text
        unreadable, download = (
            text.index(ERROR_CLASSES["ko"][kind][0]) for kind in ("unreadable", "download")
        )
        assert unreadable < download  # most frequent first


def test_failures_are_explained_in_korean_with_file_names_and_without_english_messages() -> None:
    mail = report_mail()
    for text in (mail.text, Page(mail.html).text):
        for part in (*ERROR_CLASSES["ko"]["unreadable"], "a.mp3", *ERROR_CLASSES["ko"]["download"], "b.mp3"):
            assert part in text
        for part in ("unreadable", "download", "It holds text.", "403"):
            assert part not in text


def test_failures_have_their_messages_in_english() -> None:
    mail = report_mail(language="en")
    for text in (mail.text, Page(mail.html).text):
        for part in (*ERROR_CLASSES["en"]["unreadable"], "a.mp3", "It holds text.", "b.mp3", "403"):
            assert part in text
        assert not re.search("[가-힣]", text.replace(BATCH_ENDED.name, ""))


def test_an_unknown_error_class_is_explained_as_an_internal_error() -> None:
    mail = report_mail(failures_by_class={"of a newer version": 1}, examples=())
    assert ERROR_CLASSES["ko"]["internal"][1] in mail.text


def test_a_report_has_place_and_attendees_at_its_head() -> None:
    mail = report_mail(facts=(("장소", "본사 대회의실"), ("참석자", "김 과장, 이 대리")))
    for text in (mail.text, Page(mail.html).text):
        assert text.index("본사 대회의실") < text.index("김 과장, 이 대리") < text.index("상태")


@pytest.mark.parametrize(
    ("language", "status", "subject"),
    [
        (
            "ko",
            "완료, 파일 3개 중 2개 실패",
            "[음성 변환 결과] 2026-11-23 연말 회의: 완료, 파일 3개 중 2개 실패",
        ),
        (
            "en",
            "completed, 2 of 3 files failed",
            "[Batch report] 2026-11-23 연말 회의: completed, 2 of 3 files failed",
        ),
    ],
)
def test_a_completed_batch_with_failed_files_says_so(language: str, status: str, subject: str) -> None:
    mail = report_mail(language=language, total=3, completed=1, failed=2)
    assert mail.subject == subject
    assert status in mail.text and status in Page(mail.html).text


def test_a_batch_without_failed_files_says_how_many_it_has() -> None:
    mail = report_mail(total=3, completed=3, failed=0, failures_by_class={}, examples=())
    assert mail.subject == "[음성 변환 결과] 2026-11-23 연말 회의: 완료, 파일 3개"


def test_recordings_without_speech_are_in_the_report() -> None:
    mail = report_mail(without_speech=4, names_without_speech=("a.wav", "b.wav", "c.wav"))
    for text in (mail.text, Page(mail.html).text):
        assert "말소리가 없는 녹음" in text and "4: a.wav, b.wav, c.wav, ..." in text
    assert "말소리가 없는 녹음" not in report_mail().text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ko", ("녹음별 회의록", "이 밖의 녹음 1,200개", "같은 녹음 2개는")),
        ("en", ("Minutes of the recordings", "1,200 more recordings", "2 recordings are the same")),
    ],
)
def test_a_digest_has_the_minutes_then_counts_and_a_link(language: str, words: tuple[str, ...]) -> None:
    entries = (
        DigestEntry("a.wav", "예산", "예산을 정했다.", "https://stt.example.com/1", "2026-11-22 14:00"),
        DigestEntry("b.wav", "채용", "뽑는다."),
    )
    digest = Digest(entries, others=1_200, repeated=2)
    mail = report_mail(language=language, digest=digest, link="https://stt.example.com/all")
    page = Page(mail.html)
    for text in (mail.text, page.text):
        for part in (*words, "2026-11-22 14:00", "a.wav", "예산을 정했다.", "채용"):
            assert part in text
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["https://stt.example.com/1", "https://stt.example.com/all"]
    assert all(link in mail.text for link in links if link)
    assert "2026-11-23 연말 회의" in mail.subject


def test_a_digest_says_what_is_missing_or_doubtful() -> None:
    entries = (
        DigestEntry("a.wav", "예산", "예산을 정했다.", notes=("말소리 7초에 글이 없습니다.",)),
        DigestEntry("b.wav", "채용", "뽑는다."),
    )
    mail = report_mail(digest=Digest(entries, notes=("demo 모델로 변환했습니다.",)))
    for text in (mail.text, Page(mail.html).text):
        order = [
            text.index(part)
            for part in ("demo 모델로", "예산을 정했다.", "말소리 7초에 글이 없습니다.", "채용")
        ]
        assert order == sorted(order)


def test_a_mail_without_a_public_address_has_no_link() -> None:
    assert [tag for tag, _ in Page(minutes_mail().html).tags if tag == "a"] == []
    assert "회의록과 녹취록" not in minutes_mail().text


def test_minutes_that_are_too_large_to_attach_are_named() -> None:
    assert minutes_mail(attachment=Attachment("a.docx", b"PK")).attachments == (Attachment("a.docx", b"PK"),)
    mail = minutes_mail(is_too_large=True)
    assert mail.attachments == () and "첨부하지 않았습니다" in mail.text


def test_a_batch_without_failures_in_english() -> None:
    mail = report_mail(failed=0, failures_by_class={}, examples=(), completed_at=None, language="en")
    assert "No file failed." in mail.text and "No file failed." in Page(mail.html).text
    assert "Duration: -" in mail.text


def test_a_message_id_is_the_same_for_the_same_mail_only() -> None:
    one = message_id("minutes", 7, "kim@example.com")
    assert one == message_id("minutes", "7", "kim@EXAMPLE.com") == minutes_mail().message_id
    others = {
        message_id("batch_report", 7, "kim@example.com"),
        message_id("minutes", 8, "kim@example.com"),
        message_id("minutes", 7, "lee@example.com"),
    }
    assert len(others | {one}) == 4


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Kim@Example.COM", "Kim@example.com"),
        ("kim@회사.한국", "kim@xn--vf4b131b.xn--3e0b707e"),
        ("stt@localhost", "stt@localhost"),
        ("a+b@mail", "a+b@mail"),
    ],
)
def test_addresses_are_normalised_without_dns(text: str, normal: str) -> None:
    assert address(text) == normal


INVALID_ADDRESSES = [
    *("", "kim", "@", "@example.com", "kim@", "a b@example.com", "a b@localhost", "@localhost", "김@example.com"),
    *("Kim <kim@example.com>", "<kim@example.com>", "kim(x)@example.com", "mailto:kim@example.com", '"a b"@example.com'),
    *("a@b.com,c@d.com", "a@b.com;c@d.com", "a@b.com c@d.com", "a@b@c.com", "a@b.com\nc@d.com"),
    *("kim@example.com\r\nBcc: lee@example.com", "kim@example.com\n", "\nkim@example.com", "kim\r@example.com", "kim@localhost\n"),
    *("kim@example.com\0", "kim\0@localhost", "kim@example.com%0d%0aBcc:x", "kim@example.com ", "\tkim@example.com"),
    *("x" * 65 + "@example.com", "x" * 65 + "@localhost", "kim@" + "x" * 64, "kim@" + "x" * 250 + ".com", "x" * 10_000),
    *("kim@-", "kim@a-", "kim@-a", "kim@example..com", "kim@127.0.0.1", "kim@[127.0.0.1]", "kim@a_b", ".kim@example.com"),
    *("kim\u202e@example.com", "kim\u200b@example.com", "kim\uff20example.com", "kim@\u2028example.com", "\ud800@example.com"),
    *("=?utf-8?q?lee=40example.net=2c?=@example.com", "=?utf-8?q?kim=0d=0aBcc:?=@localhost", "kim@xn--a.com"),
]  # fmt: skip


@pytest.mark.parametrize("text", INVALID_ADDRESSES, ids=lambda text: ascii(text[:40]))
def test_an_invalid_address_is_refused_by_name(text: str) -> None:
    for refuse in (address, lambda recipient: _mail(recipient=recipient)):
        with pytest.raises(InvalidRequestError, match="is not an email address") as refused:
            refuse(text)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "end", ["\n", "\r", "\r\n", "\0", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"], ids=ascii
)
def test_no_header_of_a_mail_has_a_line_break(end: str) -> None:
    with pytest.raises(InvalidRequestError, match="one line"):
        _mail(subject=f"minutes{end}Bcc: lee@example.com")
    with pytest.raises(InvalidRequestError, match="one line"):
        _mail(attachments=(Attachment(f"a{end}.vtt", b""),))
    with pytest.raises(InvalidRequestError, match="one line"):
        _mail(attachments=(Attachment("a.vtt", b"", f"text/vtt{end}X: y"),))
    with pytest.raises(InvalidRequestError, match="message id"):
        _mail(message_id=f"<a@b>{end}")


def _mail(**parts: object) -> Mail:
    given = {
        "recipient": "kim@example.com",
        "subject": "minutes",
        "text": "",
        "html": "",
        "message_id": "<a@b>",
        **parts,
    }
    return Mail(**given)  # type: ignore[arg-type]
