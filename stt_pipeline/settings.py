"""Every STT_* variable with its type, default and description. Nothing here opens a database, an audio file or a model.

`.env.example` is generated from this file: ``python -m tools.env_example > .env.example``.
"""

import re
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from stt_pipeline.backends import (
    DIARIZERS,
    FORMATS,
    SUMMARIZERS,
    TRANSCRIBERS,
    DiarizerName,
    MailFormat,
    SummarizerName,
    TranscriberName,
)
from stt_pipeline.home import ENV_FILE, EnvFile, default_home, env_files

MAX_AUDIO_HOURS = 24.0
"""Default of STT_MAX_AUDIO_HOURS: a recorder that runs all day."""


class Settings(BaseSettings):
    """Configuration of one process: from the environment, else from the files of :func:`env_files`, else the default."""

    model_config = SettingsConfigDict(env_prefix="STT_", env_file=ENV_FILE, extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=default_home,
        description="Folder for all local data: embedded Postgres, DAGSTER_HOME, Parquet, audio cache, outbox. Empty: .stt in "
        "the checkout, or a folder of the user (~/.local/share/stt_pipeline on Linux) if the package was installed without one.",
    )
    database_url: str = Field(
        "",
        repr=False,
        description="URL of the Postgres database for the store and for Dagster: postgresql://user:password@host:port/name. "
        "Empty: an embedded Postgres under STT_HOME.",
    )
    data_uri: str = Field(
        "",
        description="Root folder of Parquet datasets and exports: a path, file:///path or s3://bucket/prefix. "
        "Empty: STT_HOME/data.",
    )

    s3_endpoint_url: str = Field(
        "",
        description="URL of the S3 server, such as http://127.0.0.1:9000. Empty: AWS_ENDPOINT_URL_S3, else AWS. "
        "Credentials come from the standard AWS credential chain.",
    )
    s3_region: str = Field(
        "", description="AWS region of the buckets. Empty: AWS_REGION, else the region of the profile."
    )
    s3_profile: str = Field(
        "",
        description="Profile in the AWS configuration; it may assume a role (role_arn). Empty: AWS_PROFILE.",
    )
    sqs_endpoints: str = Field(
        "",
        description="URLs of SQS-compatible servers besides AWS, separated by commas, such as http://127.0.0.1:4566. Queues on "
        "other servers are refused, because requests are signed with the AWS credentials.",
    )
    cache_bytes: int = Field(
        20 << 30,
        ge=0,
        description="Size limit of the audio cache in STT_HOME/cache, in bytes (20 GiB); the least recently used files are "
        "deleted first. A cache that holds the audio of one run saves one download per stage.",
    )
    quiet_period_seconds: float = Field(
        10.0,
        ge=0,
        description="A local file that changed within this many seconds is checked again before it is added to a batch, "
        "because it may still be growing.",
    )
    timezone: str = Field(
        "Asia/Seoul",
        description="Time zone (IANA name) of the daily batches of a watch and of the daily maintenance.",
    )

    model: str = Field(
        "auto",
        description="Speech model: auto (large-v3 on a GPU, small on a CPU), a faster-whisper model name, "
        "a repository on the Hugging Face hub (owner/model), a folder with a CTranslate2 Whisper model, or demo (the tiny model "
        "in the package).",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Device of the speech model, pyannote and word alignment: cpu, cuda, or auto (cuda if available).",
    )
    compute_type: str = Field(
        "auto", description="CTranslate2 compute type. auto: float16 on a GPU, int8 on a CPU."
    )
    cpu_threads: int = Field(
        0,
        ge=0,
        description="CPU threads of each CTranslate2 worker; the number of workers follows from the number of cores. 0: one "
        "for models up to the size of Whisper base, else four, or all cores if there are fewer.",
    )
    language: str = Field(
        "",
        description="Language code for batches without a language option. Empty: detected for each file.",
    )
    model_batch_size: int = Field(
        0,
        ge=0,
        description="Model batch size: speech chunks that are decoded together, from any number of recordings. "
        "0: as many as fit into the memory of the device.",
    )
    transcriber: TranscriberName = Field(
        "local", description=f"Transcription backend. {TRANSCRIBERS.help()}."
    )
    diarizer: DiarizerName = Field("auto", description=f"Diarization backend. {DIARIZERS.help()}.")
    pyannote_pipeline: str = Field(
        "",
        description="Pipeline of the diarizer pyannote: a name on the Hugging Face hub or a local folder. "
        "Empty: the default of whisperx.",
    )
    summarizer: SummarizerName = Field(
        "extractive", description=f"Backend that writes the minutes. {SUMMARIZERS.help()}."
    )

    smtp_url: str = Field(
        "",
        repr=False,
        description="URL of the mail server: smtp://user:password@host:port, or smtps:// for implicit TLS. "
        "Empty: mails are written to STT_HOME/outbox as .eml files.",
    )
    mail_from: str = Field(
        "stt@localhost",
        description="Sender of all mails: an address, or a name and an address, as in Minutes <stt@example.com>. A mail server "
        "needs an address of your domain.",
    )
    mail_attach: MailFormat = Field(
        "docx",
        description="Export format of the minutes and the transcript that are attached to the mail of a recording, at most "
        f"10 MiB; none attaches nothing. {FORMATS.help()}.",
    )
    public_url: str = Field(
        "",
        description="Address of the admin API for the readers of mails, such as https://stt.example.com, for links to the minutes. "
        "The API asks for a key, so a proxy with a login has to add one. Empty: mails have no links.",
    )
    alert_emails: str = Field(
        "",
        description="Email addresses, separated by commas, that get a mail when a run fails as a whole; they are also the owners "
        "of the assets in the Dagster UI. Empty: no such mails.",
    )

    max_file_bytes: int = Field(
        1 << 30, gt=0, description="Size limit of an audio file, in bytes (1 GiB). Larger files fail."
    )
    max_audio_hours: float = Field(
        MAX_AUDIO_HOURS,
        gt=0,
        description="Length limit of a recording, in hours. Recordings that decode to more fail: a small damaged file can play for "
        "weeks.",
    )
    max_attempts: int = Field(
        3, ge=1, description="Attempts for a file that fails with a transient error, the first one included."
    )
    max_shards_in_flight: int = Field(
        200, ge=1, description="Shards of all batches that may be queued or running at the same time."
    )
    max_active_batches: int = Field(
        10, ge=1, description="Batches whose shards are dispatched at the same time; the other batches wait."
    )
    partition_retention_days: int = Field(
        90,
        ge=1,
        description="Partitions and runs of a batch are removed from Dagster this many days after it ended; its rows and "
        "Parquet files stay.",
    )
    lease_seconds: int = Field(
        40,
        ge=10,
        description="A run that sends no heartbeat for this long, in seconds, is ended, and its shards are dispatched again. A "
        "run sends four in this time, from a thread of its own, however long its recordings are.",
    )

    allowed_sources: str = Field(
        "",
        description="Allowed sources of batches: addresses separated by commas, such as "
        "file:///data/meetings,s3://recordings/2026. Empty: the command line and the Dagster UI may read any folder, the API "
        "none.",
    )

    api_host: str = Field(
        "127.0.0.1", description="Host on which `stt up` and `stt api` serve the admin API."
    )
    api_port: int = Field(8010, ge=0, le=65535, description="Port of the admin API; 0 selects a free port.")
    development: bool = Field(
        False,
        description="Requests without an API key have the role admin. For local development only.",
    )
    api_rate_limit: str = Field(
        "600/minute", description="Rate limit for each API key, such as 10/second or 600/minute."
    )
    api_statement_seconds: float = Field(
        10.0, gt=0, description="Statement timeout of an API request's queries, in seconds."
    )
    cerbos_url: str = Field(
        "",
        description="URL of a Cerbos policy decision point, such as http://127.0.0.1:3592, that authorizes API requests. "
        "Empty: the built-in table of roles.",
    )

    logs_to: Literal["file", "stdout"] = Field(
        "file",
        description="Where `stt up` writes the logs of its processes: file (STT_HOME/logs, rotated by size), or stdout: there, "
        "too, with the name of the process before each line. The container image sets stdout.",
    )
    ui_host: str = Field("127.0.0.1", description="Host on which `stt up` serves the Dagster UI.")
    ui_port: int = Field(3000, ge=0, le=65535, description="Port of the Dagster UI; 0 selects a free port.")
    dagster_url: str = Field(
        "",
        description="URL of the Dagster UI for links in mails, such as https://dagster.example.com. "
        "Empty: http://STT_UI_HOST:STT_UI_PORT.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources; the first one with a value wins. ``_env_file=...`` replaces the ``.env`` files."""
        files: tuple[PydanticBaseSettingsSource, ...] = (dotenv_settings,)
        if isinstance(dotenv_settings, DotEnvSettingsSource) and dotenv_settings.env_file == ENV_FILE:
            files = tuple(EnvFile(settings_cls, path) for path in env_files())
        return (init_settings, env_settings, *files)

    @field_validator("home", mode="before")
    @classmethod
    def _default_if_empty(cls, home: str | Path) -> Path:
        return Path(home).expanduser() if str(home) else default_home()

    @field_validator("public_url")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
            raise PydanticCustomError(
                "public_url",
                "{url} is not the address of a web server: give one such as https://stt.example.com",
                {"url": repr(url)},
            )
        return url.rstrip("/")

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise PydanticCustomError(
                "timezone",
                "{timezone} is not a time zone: give an IANA name such as Asia/Seoul, or UTC",
                {"timezone": repr(timezone)},
            ) from error
        return timezone

    @property
    def alert_recipients(self) -> tuple[str, ...]:
        """The addresses in STT_ALERT_EMAILS."""
        return tuple(address for part in self.alert_emails.split(",") if (address := part.strip()))

    @property
    def ui_url(self) -> str:
        """The URL of the Dagster UI; empty if its port is not fixed."""
        if self.dagster_url:
            return self.dagster_url.rstrip("/")
        return f"http://{self.ui_host}:{self.ui_port}" if self.ui_port else ""

    @property
    def postgres_folder(self) -> Path:
        """Data directory of the embedded Postgres."""
        return self.home.absolute() / "postgres"

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME of the processes that `stt up` starts."""
        return self.home.absolute() / "dagster"

    @property
    def outbox(self) -> Path:
        """Folder of the mails when STT_SMTP_URL is empty."""
        return self.home.absolute() / "outbox"

    @property
    def cache_folder(self) -> Path:
        """Folder of the audio cache."""
        return self.home.absolute() / "cache"

    @property
    def data_root(self) -> str:
        """Root of the Parquet datasets: a path or a URI."""
        return self.data_uri or str(self.home.absolute() / "data")
