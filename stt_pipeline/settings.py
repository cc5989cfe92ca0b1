"""Every STT_* variable, typed and documented once. Nothing here reads a database, a file of audio or a model.

`.env.example` is made from this file (`python -m tools.env_example`), so a description here is the documentation.
"""

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Configuration of one process, read from the environment and from ``.env`` in the working folder."""

    model_config = SettingsConfigDict(env_prefix="STT_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(
        Path(".stt"),
        description="Folder for everything kept on this machine: embedded Postgres, Dagster's home, Parquet, outbox.",
    )
    database_url: str = Field(
        "",
        description="postgresql://user:password@host:port/name of the server for the store and for Dagster. "
        "Empty: an embedded Postgres under STT_HOME.",
    )
    data_uri: str = Field(
        "",
        description="Where Parquet and exports go: a path, file:///path or s3://bucket/prefix. Empty: STT_HOME/data.",
    )

    s3_endpoint_url: str = Field(
        "",
        description="Address of an S3 server, as in http://127.0.0.1:9000. Empty: AWS, or AWS_ENDPOINT_URL_S3. "
        "Credentials are found as by every AWS tool.",
    )
    s3_region: str = Field("", description="Region of the buckets. Empty: AWS_REGION, or the profile's.")
    s3_profile: str = Field(
        "",
        description="Profile of the AWS configuration, which may take a role (role_arn). Empty: AWS_PROFILE.",
    )
    sqs_endpoints: str = Field(
        "",
        description="Servers of queues besides AWS: addresses separated by commas, such as http://127.0.0.1:4566. Others are "
        "never asked, since requests are signed with the credentials.",
    )
    cache_bytes: int = Field(
        20 << 30,
        ge=0,
        description="Disk space under STT_HOME/cache for downloaded recordings, in bytes (20 GiB); the least recently "
        "used go first. Room for the audio of one run saves fetching it once a stage.",
    )
    quiet_period_seconds: float = Field(
        10.0,
        ge=0,
        description="A local file that was changed within so many seconds is looked at again before it is taken in: it "
        "may still be growing.",
    )
    timezone: str = Field(
        "Asia/Seoul", description="Time zone (IANA name) in which a watch's day begins and ends."
    )

    model: str = Field(
        "auto",
        description="Speech model: auto (large-v3 on a GPU, small on a CPU), a faster-whisper name, "
        "a repository of the Hugging Face hub (owner/model), a folder with a CTranslate2 Whisper model, or demo (the tiny model "
        "in the package).",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where the speech model, pyannote and the alignment of words run: cpu, cuda, or auto (cuda where there "
        "is one).",
    )
    compute_type: str = Field(
        "auto", description="CTranslate2 compute type. auto: float16 on a GPU, int8 on a CPU."
    )
    cpu_threads: int = Field(
        0,
        ge=0,
        description="Threads of each worker of the speech model on a CPU; there are as many workers as cores allow. 0 "
        "takes four, or all cores where there are fewer, and one for the demo model.",
    )
    language: str = Field(
        "",
        description="Language code of the recordings, of batches that say nothing about languages; empty detects it "
        "file by file.",
    )
    model_batch_size: int = Field(
        0,
        ge=0,
        description="Stretches of speech that the model decodes together, from any number of recordings; "
        "0 takes what the device's memory holds.",
    )
    diarizer: Literal["auto", "pyannote", "segmentation", "embedded", "channel", "none"] = Field(
        "auto",
        description="Who finds the speakers: pyannote (the best; wants the whisperx extra, and HF_TOKEN in the environment or "
        "a local folder as STT_PYANNOTE_PIPELINE), segmentation (the whisperx extra, no token), embedded (no extra), "
        "channel (one speaker a channel of stereo calls) or none. auto: segmentation where the extra is installed, else embedded.",
    )
    pyannote_pipeline: str = Field(
        "",
        description="The pipeline of the diarizer pyannote: a name on the Hugging Face hub or a local folder. "
        "Empty takes whisperx's own choice.",
    )

    smtp_url: str = Field(
        "",
        description="smtp://user:password@host:port, or smtps:// for implicit TLS. "
        "Empty: mails become .eml files in STT_HOME/outbox.",
    )
    mail_from: str = Field("stt@localhost", description="Sender of every mail.")

    max_file_bytes: int = Field(
        1 << 30, gt=0, description="Larger audio files are rejected, in bytes (1 GiB)."
    )
    max_attempts: int = Field(
        3, ge=1, description="Tries for a file whose failure may pass, the first one included."
    )
    max_shards_in_flight: int = Field(
        200, ge=1, description="Shards that may be queued or worked on at once, over all batches."
    )
    max_active_batches: int = Field(
        10, ge=1, description="Batches whose shards are dispatched side by side; others wait for their turn."
    )
    partition_retention_days: int = Field(
        90,
        ge=1,
        description="Partitions and runs of batches that ended so many days ago leave Dagster; rows and Parquet stay.",
    )
    lease_seconds: int = Field(
        120, ge=10, description="A shard whose run gives no sign of life for this long is dispatched again."
    )

    allowed_sources: str = Field(
        "",
        description="Where batches may take recordings from: addresses separated by commas, such as "
        "file:///data/meetings,s3://recordings/2026. Empty: any folder for the command line and the Dagster UI, none for "
        "the API.",
    )

    api_host: str = Field(
        "127.0.0.1", description="Address on which `stt up` and `stt api` serve the admin API."
    )
    api_port: int = Field(8010, ge=0, le=65535, description="Port of the admin API; 0 takes a free one.")
    development: bool = Field(
        False,
        description="Without an API key everybody is an admin of the API. For a developer's own machine only.",
    )
    api_rate_limit: str = Field(
        "600/minute", description="Requests for each API key, as in 10/second or 600/minute."
    )
    api_statement_seconds: float = Field(
        10.0, gt=0, description="A query of an API request that takes longer is given up."
    )
    cerbos_url: str = Field(
        "",
        description="Address of a Cerbos policy decision point, as in http://127.0.0.1:3592, that decides who may do what "
        "in the API. Empty: the product's own table of roles.",
    )

    ui_host: str = Field("127.0.0.1", description="Address on which `stt up` serves the Dagster UI.")
    ui_port: int = Field(3000, ge=0, le=65535, description="Port of the Dagster UI; 0 takes a free one.")

    @field_validator("timezone")
    @classmethod
    def _known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise PydanticCustomError(
                "timezone",
                "{timezone} is no time zone: give a name as in Asia/Seoul, or UTC",
                {"timezone": repr(timezone)},
            ) from error
        return timezone

    @property
    def postgres_folder(self) -> Path:
        """Data folder of the embedded Postgres."""
        return self.home.absolute() / "postgres"

    @property
    def dagster_home(self) -> Path:
        """The DAGSTER_HOME that `stt up` gives to its children."""
        return self.home.absolute() / "dagster"

    @property
    def outbox(self) -> Path:
        """Folder for mails when no SMTP server is configured."""
        return self.home.absolute() / "outbox"

    @property
    def cache_folder(self) -> Path:
        """Folder for downloaded recordings."""
        return self.home.absolute() / "cache"

    @property
    def data_root(self) -> str:
        """Root of the Parquet datasets: a path, or a URI with a scheme."""
        return self.data_uri or str(self.home.absolute() / "data")
