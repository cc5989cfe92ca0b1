"""The code location that Dagster loads. It joins what ``defs`` exports and defines nothing itself."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from stt_pipeline.defs import io_managers, resources
from stt_pipeline.defs.assets import ASSETS
from stt_pipeline.defs.catalog import recordings
from stt_pipeline.defs.freshness import FRESHNESS_CHECKS, freshness_checks
from stt_pipeline.defs.jobs import JOBS
from stt_pipeline.defs.schedules import daily_maintenance
from stt_pipeline.defs.sensors import SENSORS
from stt_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource


def build_definitions(
    resource_overrides: Mapping[str, object] | None = None, *, s3: "S3Resource | None" = None
) -> dg.Definitions:
    """Return the code location.

    Args:
        resource_overrides: replace resources by plain objects of the same interface, as tests do.
        s3: the connection to buckets; None uses the STT_S3_* variables.

    Raises:
        ConfigurationError: there is no resource of an overridden name.
    """
    known = {
        **resources.resources(s3),
        "transcripts_parquet": io_managers.ParquetIOManager(dataset="transcripts"),
        "minutes_parquet": io_managers.ParquetIOManager(dataset="minutes"),
    }
    overrides = resource_overrides or {}
    if unknown := overrides.keys() - known.keys():
        raise ConfigurationError(
            f"There is no resource {', '.join(sorted(unknown))}. The resources are {', '.join(known)}."
        )
    definitions = dg.Definitions(
        assets=[recordings(), *ASSETS],
        jobs=JOBS,
        asset_checks=FRESHNESS_CHECKS,
        sensors=[*SENSORS, freshness_checks],
        schedules=[daily_maintenance],
        resources={**known, **overrides},
        # a process for each step would load the model again
        executor=dg.in_process_executor,
    )
    with warnings.catch_warnings():
        # Dagster warns of a beta parameter that it passes itself when a sensor targets jobs with resources
        warnings.simplefilter("ignore", dg.BetaWarning)
        definitions.get_repository_def()
    return definitions


defs = build_definitions()
