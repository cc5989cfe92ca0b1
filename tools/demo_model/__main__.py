"""``python -m tools.demo_model``: make a demo model, step by step or all at once. README.md has the expected figures."""

from pathlib import Path
from typing import Annotated

import typer

from tools.demo_model.corpus import ENGLISH_UTTERANCES, KOREAN_UTTERANCES, draw_corpus

app = typer.Typer(help=__doc__, no_args_is_help=True)

Work = Annotated[Path, typer.Option(help="Folder of all results.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes of one thread each, at most one per core.")]
Korean = Annotated[int, typer.Option(min=1, help="Korean utterances to synthesize.")]
English = Annotated[int, typer.Option(min=1, help="English utterances to synthesize.")]
Minutes = Annotated[float, typer.Option(min=0.01, help="Length of the training.")]

_WORK = Path("demo_model_work")


@app.command("synthesize")
def synthesize_corpus(
    work: Work = _WORK,
    korean: Korean = KOREAN_UTTERANCES,
    english: English = ENGLISH_UTTERANCES,
    processes: Processes = 2,
) -> None:
    """Synthesize the corpus with espeak-ng (5 minutes on two cores)."""
    from tools.demo_model.dataset import synthesize

    seconds = synthesize(draw_corpus(korean, english).training, work / "corpus", processes)
    typer.echo(f"{korean + english} utterances, {seconds / 3600:.1f} hours")


@app.command("tokenizer")
def make_tokenizer(work: Work = _WORK) -> None:
    """Build the tokenizer from the grammar."""
    from tools.demo_model.tokenizer import write_tokenizer

    work.mkdir(parents=True, exist_ok=True)
    write_tokenizer(work / "tokenizer.json")


@app.command("train")
def train_model(work: Work = _WORK, minutes: Minutes = 120.0, processes: Processes = 2) -> None:
    """Train from scratch; losses go to checkpoint.jsonl, the model to checkpoint.pt."""
    from tools.demo_model.training import Budget, Run, train

    train(Run(work / "corpus", work / "tokenizer.json", work / "checkpoint.pt", Budget(minutes), processes))


@app.command("export")
def export_model(work: Work = _WORK) -> None:
    """Write the folder `model`, for STT_MODEL."""
    from tools.demo_model.export import export

    export(work / "checkpoint.pt", work / "tokenizer.json", work / "model")


@app.command("evaluate")
def evaluate_model(
    work: Work = _WORK,
    model: Annotated[
        Path | None, typer.Option(help="Folder of another model than the one in --work.")
    ] = None,
) -> None:
    """Print the error rates on held-out sentences."""
    from tools.demo_model.evaluation import evaluate

    for score in evaluate(model or work / "model"):
        group = score.group
        typer.echo(
            f"{group.name:34} CER {score.cer.rate:7.2%}  WER {score.wer.rate:7.2%}  "
            f"correct language in {score.languages_right} of {group.recordings}"
        )


@app.command("all")
def make_all(
    work: Work = _WORK,
    korean: Korean = KOREAN_UTTERANCES,
    english: English = ENGLISH_UTTERANCES,
    minutes: Minutes = 120.0,
    processes: Processes = 2,
) -> None:
    """Run all steps."""
    synthesize_corpus(work, korean, english, processes)
    make_tokenizer(work)
    train_model(work, minutes, processes)
    export_model(work)
    evaluate_model(work)


if __name__ == "__main__":
    app()
