"""Makes .env.example from the settings: ``python -m tools.env_example > .env.example``."""

import textwrap

from stt_pipeline.settings import Settings


def env_example() -> str:
    """Return every STT_* variable with its description and, commented out, its default."""
    lines = [
        "# Every setting, with its default. Copy this file to .env and change what you need. A name is looked up in the",
        "# environment, then in .env of the working directory, then in .env of the checkout (without a checkout:",
        "# ~/.config/stt_pipeline/.env on Linux). STT_ENV_FILE in the environment names one file instead; empty for none.",
        "# `stt doctor` shows which are read. Made by: python -m tools.env_example > .env.example",
    ]
    for name, field in Settings.model_fields.items():
        lines += [
            "",
            *textwrap.wrap(field.description or "", 110, initial_indent="# ", subsequent_indent="# "),
        ]
        # the default of STT_HOME depends on the machine
        lines.append(f"#STT_{name.upper()}={'' if field.default_factory else field.default}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(env_example(), end="")
