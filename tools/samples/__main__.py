"""``python -m tools.samples``: make the sample meetings, and measure the demo model on them."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from stt_pipeline.speech.evaluation import ErrorRate
from tools.samples.catalogue import SAMPLES
from tools.samples.making import make_sample
from tools.samples.measure import Scores, score

app = typer.Typer(help=__doc__, no_args_is_help=True)

_FOLDER = Path("samples")
_FIRST_UNSELECTED_SEED = 1000
Folder = Annotated[Path, typer.Option(help="Folder of the samples.")]


@app.command()
def make(folder: Folder = _FOLDER) -> None:
    """Write every recording and its references; needs espeak-ng and ffmpeg."""
    for sample in SAMPLES:
        recording = make_sample(sample, folder)
        typer.echo(f"{sample.file_name:24} {recording.duration:6.1f} s  {len(recording.lines)} sentences")


@app.command()
def measure(folder: Folder = _FOLDER) -> None:
    """Print the scores of the product on the recordings in the folder; the mean excludes the telephone recording."""
    results = {sample: score(folder / sample.file_name, folder / "reference") for sample in SAMPLES}
    for sample, result in results.items():
        _show(sample.file_name, result)
    _show_mean([result for sample, result in results.items() if not sample.telephone])


@app.command()
def draw(
    count: Annotated[int, typer.Option(min=1, help="Number of meetings.")] = 14,
    first_seed: Annotated[int, typer.Option(help="Seed of the first.")] = _FIRST_UNSELECTED_SEED,
) -> None:
    """Measure other meetings of the same kind, with seeds that were not selected: the unbiased figure of the demo model."""
    originals = [sample for sample in SAMPLES if not sample.telephone]
    results = []
    for index in range(count):
        sample = replace(originals[index % len(originals)], seed=first_seed + index)
        with TemporaryDirectory() as folder:
            make_sample(sample, Path(folder))
            results.append(score(Path(folder) / sample.file_name, Path(folder) / "reference"))
        _show(sample.file_name, results[-1])
    _show_mean(results)


def _show(name: str, result: Scores) -> None:
    typer.echo(
        f"{name:24} CER {result.cer.rate:6.2%}  DER {result.der.rate:6.2%}  "
        f"speakers {result.speakers_found} of {result.speakers}  "
        f"action items {result.items_found} of {result.items}"
    )


def _show_mean(results: list[Scores]) -> None:
    cer = sum((result.cer for result in results), ErrorRate()).rate
    der = sum((result.der for result in results), ErrorRate()).rate
    found, items = sum(result.items_found for result in results), sum(result.items for result in results)
    typer.echo(f"all {len(results)}: CER {cer:.2%}, DER {der:.2%}, {found} of {items} action items found")


if __name__ == "__main__":
    app()
