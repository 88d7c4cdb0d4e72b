"""Options that several commands have, and the types of their values."""

from __future__ import annotations

import click

DEFAULT_PORT = 4566
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(given: str | float) -> float:
    """Return the seconds of ``90``, ``10m`` or ``8h``."""
    text = str(given)
    number, unit = (text[:-1], _SECONDS[text[-1]]) if text[-1:] in _SECONDS else (text, 1)
    try:
        seconds = float(number) * unit
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a duration such as 90, 10m or 8h") from None
    if not 0 <= seconds < 1e9:
        raise click.BadParameter(f"{text!r} is not a duration from 0 to 30 years")
    return seconds


def pattern_and_image(given: str) -> tuple[str, str]:
    """Return pattern and image of ``PATTERN=IMAGE``."""
    # An image has no '=', and a pattern of images neither.
    pattern, _, image = given.partition("=")
    if not pattern or not image:
        raise click.BadParameter(f"{given!r} is not PATTERN=IMAGE, such as 'pytorch-inference:*=my-image'")
    return pattern, image


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
port_option = click.option(
    "--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, help="TCP port on 127.0.0.1."
)
