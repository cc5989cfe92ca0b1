"""The two streams that commands print to. What is a result goes to ``out``; what is said about the work, to ``err``.

Both show text as it is: a recording may be called ``[draft] plan.wav``, which is no markup. Colours are styles.
"""

from rich.console import Console

out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)


def say(message: str, *, style: str | None = None) -> None:
    """Print ``message`` on stderr, its lines as long as they are."""
    err.print(message, style=style, soft_wrap=True)
