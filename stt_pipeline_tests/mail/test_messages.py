"""The text of mails, and that text from a transcript cannot break them."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.mail.labels import LABELS
from stt_pipeline.mail.mail import Attachment, Mail, address, message_id
from stt_pipeline.mail.messages import rendered
from stt_pipeline.minutes.model import ActionItem, Minutes
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
    mail = minutes_mail(links={"녹취록": "/data/a.txt", "화면": "https://stt.example.com/7"})
    assert mail.subject == "[회의록] 예산, 채용 - 주간 회의.m4a"
    page = Page(mail.html)
    for text in (page.text, mail.text):
        for part in (
            "주간 회의.m4a",
            "1:02:05",
            "SPEAKER_00",
            "결정 사항",
            "예산안 제출",
            "김 과장",
            "12월 3일",
            "/data/a.txt",
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


def test_empty_minutes_have_no_empty_sections() -> None:
    empty = Minutes("말소리 없음", "이 녹음에서 말소리를 찾지 못했습니다.")
    mail = minutes_mail(minutes=empty, duration=0.0, speakers=(), notes=())
    page = Page(mail.html)
    assert empty.summary in page.text and "할 일" not in page.text and "결정 사항" not in mail.text


def test_text_from_a_transcript_is_escaped() -> None:
    minutes = Minutes(EVIL, EVIL, (EVIL,), (EVIL,), (ActionItem(EVIL, EVIL, EVIL),), (EVIL,))
    page = Page(
        minutes_mail(minutes=minutes, notes=(EVIL,), name=EVIL, links={EVIL: "javascript:alert(1)"}).html
    )
    assert not [tag for tag, _ in page.tags if tag in ("script", "a")]
    assert page.text.count("<script>alert('x')</script>") >= 9
    page = Page(report_mail(name=EVIL, examples=((EVIL, "unreadable", EVIL),)).html)
    assert not [tag for tag, _ in page.tags if tag == "script"]


def test_a_title_with_line_breaks_makes_a_subject_of_one_line() -> None:
    mail = minutes_mail(minutes=replace(MINUTES, title="예산\r\nBcc: spy@example.com\0" + "길" * 500))
    assert "\n" not in mail.subject and "\r" not in mail.subject and "\0" not in mail.subject
    assert len(mail.subject) <= 120


def test_a_batch_report_has_counts_hours_duration_and_failures_by_class() -> None:
    mail = report_mail()
    assert mail.subject == "[음성 변환 결과] 연말 회의: 완료 11,990/12,000"
    page = Page(mail.html)
    for text in (page.text, mail.text):
        for part in ("12,000", "11,990", "8,123:30:00", "30:00:00", "unreadable", "It holds text.", "b.mp3"):
            assert part in text
    assert page.text.index("unreadable") < page.text.index("download")  # most frequent first


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
