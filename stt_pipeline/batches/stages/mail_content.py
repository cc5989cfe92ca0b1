"""The contents of mails that depend on the installation: the attached minutes, links, and dates in its time zone."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.keys import clean_name
from stt_pipeline.batches.requests.options import BatchOptions, document_options
from stt_pipeline.minutes.exports import ExportContent, export_format
from stt_pipeline.minutes.meeting_facts import meeting_time
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.notify.events import Attachment
from stt_pipeline.settings import Settings
from stt_pipeline.store.results.transcriptions import Transcription

MAX_ATTACHMENT_BYTES: Final = 10 << 20
"""Mail servers accept 20 to 25 MB, and base64 adds a third."""


@dataclass(frozen=True, slots=True)
class MailContent:
    """What mails contain besides the minutes.

    Attributes:
        attach: the export format of the attached minutes; ``none`` attaches nothing.
        public_url: address of the admin API for readers, without a slash at its end; empty leaves links out.
        zone: time zone of dates.
    """

    attach: str = "none"
    public_url: str = ""
    zone: tzinfo = UTC

    @classmethod
    def of(cls, settings: Settings) -> "MailContent":
        """Return the content that the settings ask for."""
        return cls(settings.mail_attach, settings.public_url, ZoneInfo(settings.timezone))

    def day(self, moment: datetime) -> date:
        """Return the day of a moment in the time zone."""
        return moment.astimezone(self.zone).date()

    def day_of_recording(self, name: str, added_at: datetime) -> date:
        """Return the day in a recording's file name; without one, the day when it was added to its batch."""
        in_name = meeting_time(name, "en")
        return date.fromisoformat(in_name[:10]) if in_name else self.day(added_at)

    def link_to_transcription(self, transcription_id: int) -> str:
        """Return the address of a recording's minutes and transcript; empty without a public address."""
        return self._link(f"transcriptions/{transcription_id}")

    def link_to_batch(self, batch_id: int) -> str:
        """Return the address of the minutes and transcripts of a batch; empty without a public address."""
        return self._link(f"stt-batches/{batch_id}")

    def _link(self, path: str) -> str:
        format = "docx" if self.attach == "none" else self.attach
        return f"{self.public_url}/api/v1/admin/{path}/export?format={format}" if self.public_url else ""

    def recording(self, stored: Transcription, minutes: Minutes, options: BatchOptions) -> ExportContent:
        """Return a recording as mails and their attachments show it."""
        name = display_name(stored.audio_file_path)
        return ExportContent(name, stored.transcript, minutes, stored.turns, document_options(options))

    def attachment(self, recording: ExportContent) -> Attachment:
        """Return the minutes and the transcript as a file, of any size."""
        format = export_format(self.attach)
        return Attachment(
            f"{clean_name(recording.name)}.{self.attach}", format.write(recording), format.media_type
        )


NOTHING_ATTACHED: Final = MailContent()
