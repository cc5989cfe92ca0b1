"""The contract of both mailers, then tests of each. The SMTP server is a real one on 127.0.0.1."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from stt_pipeline.errors import ConfigurationError, EmailError, InvalidRequestError
from stt_pipeline.mail.mail import Mail, message_id
from stt_pipeline.mail.mailer import Mailer, load_mailer
from stt_pipeline.mail.outbox import OutboxMailer
from stt_pipeline.mail.smtp import SmtpMailer
from stt_pipeline.notify.events import Attachment
from stt_pipeline_tests.mail.smtp_servers import Certificate, Inbox, free_port, smtp_server

SENDER = "stt@localhost"
RECIPIENT = "kim@example.com"
MAIL = Mail(
    recipient=RECIPIENT,
    subject="[회의록] 예산과 채용 - 주간 회의.m4a, 아주 긴 제목도 한 줄로 남습니다",
    text="요약\n예산을 결정했습니다.\n.점으로 시작하는 줄\n",
    html="<p>예산을 결정했습니다.</p>",
    message_id=message_id("minutes", 7, RECIPIENT),
    attachments=(Attachment("녹취록.vtt", b"WEBVTT\n", "text/vtt"),),
)

Received = Callable[[], list[EmailMessage]]


@pytest.fixture(params=["smtp", "outbox"])
def delivery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Mailer, Received]]:
    """A mailer, and a function that returns the received mails."""
    if request.param == "smtp":
        inbox = Inbox()
        with smtp_server(inbox) as host:
            yield load_mailer(f"smtp://{host}", tmp_path, SENDER), lambda: inbox.messages
    else:
        folder = tmp_path / "outbox"
        yield (
            load_mailer("", folder, SENDER),
            lambda: [
                message_from_bytes(path.read_bytes(), policy=policy.SMTP)
                for path in sorted(folder.glob("*.eml"))
            ],
        )


def test_a_mail_arrives_as_it_was_written(delivery: tuple[Mailer, Received]) -> None:
    mailer, received = delivery
    assert mailer.name in ("smtp", "outbox")
    assert mailer.send(MAIL)
    (message,) = received()
    assert (message["To"], message["From"], message["Subject"]) == (RECIPIENT, SENDER, MAIL.subject)
    assert message["Message-ID"] == MAIL.message_id
    assert message["Date"] and message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text and text.get_content().replace("\r\n", "\n") == MAIL.text
    assert html and html.get_content().strip() == MAIL.html
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == "녹취록.vtt"
    assert attachment.get_content_type() == "text/vtt"
    assert attachment.get_payload(decode=True) == b"WEBVTT\n"


def test_a_mailer_sends_several_mails_in_a_with_block(delivery: tuple[Mailer, Received]) -> None:
    mailer, received = delivery
    with mailer as open_mailer:
        for number in range(3):
            open_mailer.send(replace(MAIL, message_id=message_id("minutes", number, RECIPIENT)))
    assert len({message["Message-ID"] for message in received()}) == 3
    mailer.send(MAIL)  # also after the block
    assert len(received()) == 4


def test_smtp_keeps_one_connection_in_a_with_block() -> None:
    inbox = Inbox()
    with smtp_server(inbox) as host:
        mailer = SmtpMailer(f"smtp://{host}", SENDER)
        with mailer:
            mailer.send(MAIL)
            mailer.send(MAIL)
        assert len(inbox.peers) == 1
        mailer.send(MAIL)
        mailer.send(MAIL)
        assert len(inbox.peers) == 3


def test_smtp_connects_again_when_the_server_has_closed() -> None:
    inbox = Inbox()
    with smtp_server(inbox) as host, SmtpMailer(f"smtp://{host}", SENDER) as mailer:
        mailer.send(MAIL)
        assert mailer._connection is not None and mailer._connection.sock is not None
        mailer._connection.sock.close()
        mailer.send(MAIL)
    assert len(inbox.messages) == 2


def test_a_refused_recipient_is_named_with_the_servers_reply_and_the_next_mail_is_sent() -> None:
    inbox = Inbox(refuse=RECIPIENT)
    with smtp_server(inbox) as host, SmtpMailer(f"smtp://{host}", SENDER) as mailer:
        with pytest.raises(EmailError, match=r"refused kim@example\.com: 550 5\.1\.1 no such user here"):
            mailer.send(MAIL)
        mailer.send(replace(MAIL, recipient="lee@example.com"))
    assert inbox.envelopes == [(SENDER, ["lee@example.com"])]


def test_a_server_that_is_down_gives_an_email_error() -> None:
    port = free_port()
    with pytest.raises(EmailError, match=rf"127\.0\.0\.1:{port} did not accept the mail.*STT_SMTP_URL"):
        SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER).send(MAIL)


def test_a_server_without_tls_gives_an_email_error_over_smtps() -> None:
    with smtp_server(Inbox()) as host, pytest.raises(EmailError):
        SmtpMailer(f"smtps://{host}", SENDER).send(MAIL)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(made.key), "-out", str(made.certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


def test_login_over_starttls_with_user_and_password_from_the_url(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))  # trusted, as a private CA is
    inbox = Inbox()
    with smtp_server(inbox, starttls=certificate, login=("ann@example.com", "p@ss/word")) as host:
        SmtpMailer(f"smtp://ann%40example.com:p%40ss%2Fword@{host}", SENDER).send(MAIL)
        assert len(inbox.messages) == 1
        with pytest.raises(EmailError, match="535") as refusal:
            SmtpMailer(f"smtp://ann%40example.com:wrong@{host}", SENDER).send(MAIL)
        assert "wrong" not in str(refusal.value)


def test_an_untrusted_certificate_is_refused(certificate: Certificate) -> None:
    inbox = Inbox()
    with smtp_server(inbox, starttls=certificate) as host, pytest.raises(EmailError, match="certificate"):
        SmtpMailer(f"smtp://{host}", SENDER).send(MAIL)
    assert inbox.messages == []


def test_a_password_is_not_sent_over_the_network_without_tls() -> None:
    inbox = Inbox()
    # 127.0.0.2 stands for another host: the mailer treats only the usual names as localhost
    with (
        smtp_server(inbox, host="127.0.0.2") as host,
        pytest.raises(EmailError, match="password was not sent"),
    ):
        SmtpMailer(f"smtp://ann:secret@{host}", "stt@example.com").send(MAIL)
    assert inbox.messages == []


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com:25",
        "http://mail.example.com",
        "smtp://",
        "smtp://secret@host:port",
        "smtp://ann:secret/x@host",
        "smtp://ann:25/secret@host",
        "smtp://ann:x[secret@host",
    ],
)
def test_a_wrong_url_is_a_configuration_error_that_hides_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="STT_SMTP_URL") as refusal:
        SmtpMailer(url, SENDER)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("sender", "name", "plain"),
    [
        ("Minutes <stt@example.com>", "Minutes", "stt@example.com"),
        ("회의록 봇 <stt@example.com>", "회의록 봇", "stt@example.com"),
        ("Kim, Lee & Co. <stt@example.com>", "Kim, Lee & Co.", "stt@example.com"),
        ('"회의록, 팀" <stt@example.com>', "회의록, 팀", "stt@example.com"),
        ("<stt@example.com>", "", "stt@example.com"),
    ],
)
def test_the_sender_has_a_display_name(sender: str, name: str, plain: str) -> None:
    inbox = Inbox()
    with smtp_server(inbox) as host:
        SmtpMailer(f"smtp://{host}", sender).send(MAIL)
    (shown,) = inbox.messages[0]["From"].addresses
    assert (shown.display_name, shown.addr_spec) == (name, plain)
    assert inbox.envelopes[0][0] == plain


def test_a_mail_server_elsewhere_needs_a_sender_of_its_domain() -> None:
    with pytest.raises(ConfigurationError, match="STT_MAIL_FROM is stt@localhost"):
        SmtpMailer("smtp://mail.example.com", "stt@localhost")
    SmtpMailer("smtp://mail.example.com", "Minutes <stt@example.com>")


def test_a_check_finds_a_server_that_is_down_and_sends_nothing(delivery: tuple[Mailer, Received]) -> None:
    mailer, received = delivery
    mailer.check()
    assert received() == []
    with pytest.raises(EmailError, match=r"does not accept mails.*STT_SMTP_URL"):
        SmtpMailer(f"smtp://127.0.0.1:{free_port()}", SENDER).check()


def test_a_check_finds_a_wrong_password(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with smtp_server(Inbox(), starttls=certificate, login=("ann", "right")) as host:
        SmtpMailer(f"smtp://ann:right@{host}", SENDER).check()
        with pytest.raises(EmailError, match="535") as refusal:
            SmtpMailer(f"smtp://ann:secret@{host}", SENDER).check()
    assert "secret" not in str(refusal.value)


def test_a_check_finds_an_outbox_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(EmailError, match="cannot be written"):
        OutboxMailer(tmp_path / "file" / "outbox", SENDER).check()


@pytest.mark.parametrize(
    "sender", ["no address", "", "A\nB <stt@example.com>", "a@b.com, c@d.com", "Kim <kim>"]
)
@pytest.mark.parametrize(
    "make", [lambda sender: SmtpMailer("smtp://host", sender), lambda sender: OutboxMailer(Path("x"), sender)]
)
def test_a_wrong_sender_is_a_configuration_error(make: Callable[[str], Mailer], sender: str) -> None:
    with pytest.raises(ConfigurationError, match="STT_MAIL_FROM"):
        make(sender)


def test_the_outbox_holds_one_file_for_a_mail_that_is_sent_twice(tmp_path: Path) -> None:
    mailer = OutboxMailer(tmp_path / "out box" / "메일", SENDER)
    notes = {mailer.send(MAIL), mailer.send(replace(MAIL, text="later"))}
    (path,) = (tmp_path / "out box" / "메일").iterdir()
    assert notes == {str(path)}
    assert "later" in path.read_bytes().decode()


def test_an_outbox_that_cannot_be_written_gives_an_email_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(EmailError, match=r"kim@example\.com could not be written"):
        OutboxMailer(tmp_path / "file", SENDER).send(MAIL)


@pytest.mark.parametrize("mark", ["\r\n", "\n", "\r", "\0"])
@pytest.mark.parametrize("field", ["recipient", "subject", "message_id"])
def test_no_field_can_inject_a_header(field: str, mark: str) -> None:
    evil = f"{getattr(MAIL, field)}{mark}Bcc: spy@example.com"
    with pytest.raises(InvalidRequestError):
        replace(MAIL, **{field: evil})


def test_a_file_name_cannot_inject_a_header() -> None:
    with pytest.raises(InvalidRequestError, match="one line"):
        replace(MAIL, attachments=(Attachment("a.txt\r\nBcc: spy@example.com", b""),))
