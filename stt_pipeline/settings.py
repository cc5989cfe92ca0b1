"""Every STT_* variable, typed and documented once. Nothing here reads a database, a file of audio or a model.

`.env.example` is made from this file (`python -m tools.env_example`), so a description here is the documentation.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field
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
    data_uri: str = Field("", description="Where Parquet goes (file:// or a path). Empty: STT_HOME/data.")

    model: str = Field(
        "auto",
        description="Speech model: auto (large-v3 on a GPU, small on a CPU), a faster-whisper name, "
        "a folder with a CTranslate2 Whisper model, or demo (the tiny model in the package).",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the speech model runs.")
    compute_type: str = Field(
        "auto", description="CTranslate2 compute type. auto: float16 on a GPU, int8 on a CPU."
    )
    cpu_threads: int = Field(
        0, ge=0, description="Threads of the speech model on a CPU; 0 lets CTranslate2 choose."
    )
    language: str = Field("", description="Language code of the recordings; empty detects it file by file.")
    diarizer: Literal["embedded", "none"] = Field(
        "embedded", description="Who finds the speakers: embedded (no download) or none."
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
    def data_root(self) -> str:
        """Root of the Parquet datasets: a path, or a URI with a scheme."""
        return self.data_uri or str(self.home.absolute() / "data")
