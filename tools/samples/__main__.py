"""``python -m tools.samples``: make the sample meetings, and measure how well the demo model hears them."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from tools.samples.catalogue import SAMPLES
from tools.samples.making import make_sample, perform
from tools.samples.measure import Heard, hear, mean_cer

app = typer.Typer(help=__doc__, no_args_is_help=True)

_FOLDER = Path("samples")
_FIRST_UNCHOSEN_SEED = 1000
Folder = Annotated[Path, typer.Option(help="Folder of the samples.")]
Clips = Annotated[
    bool, typer.Option("--clips/--windows", help="Decode stretches of speech, or windows of ten seconds.")
]


@app.command()
def make(folder: Folder = _FOLDER) -> None:
    """Write every recording and its references; needs espeak-ng and ffmpeg."""
    for sample in SAMPLES:
        recording = make_sample(sample, folder)
        typer.echo(f"{sample.file_name:24} {recording.duration:6.1f} s  {len(recording.lines)} sentences")


@app.command()
def measure(folder: Folder = _FOLDER, clips: Clips = True) -> None:
    """Transcribe the recordings that are in the folder with the demo model."""
    results = []
    for sample in SAMPLES:
        result = hear(sample, perform(sample), folder / sample.file_name, clips=clips)
        _show(result)
        if not sample.telephone:
            results.append(result)
    typer.echo(f"mean without the telephone: {mean_cer(results):.2%}")


@app.command()
def draw(
    count: Annotated[int, typer.Option(min=1, help="How many meetings to draw.")] = 14,
    first_seed: Annotated[
        int, typer.Option(help="Seed of the first; the others follow.")
    ] = _FIRST_UNCHOSEN_SEED,
    clips: Clips = True,
) -> None:
    """Measure other meetings of the same kind, from seeds that were not chosen: the honest figure of the demo model."""
    originals = [sample for sample in SAMPLES if not sample.telephone]
    results = []
    with TemporaryDirectory() as folder:
        for index in range(count):
            sample = replace(originals[index % len(originals)], seed=first_seed + index)
            recording = make_sample(sample, Path(folder))
            results.append(hear(sample, recording, Path(folder) / sample.file_name, clips=clips))
            _show(results[-1])
    typer.echo(f"mean of {count}: {mean_cer(results):.2%}")


def _show(result: Heard) -> None:
    items = f"{result.items_right} of {result.items} action items"
    typer.echo(f"{result.name:24} {result.seconds:6.1f} s  CER {result.cer:6.2%}  {items} heard exactly")


if __name__ == "__main__":
    app()
