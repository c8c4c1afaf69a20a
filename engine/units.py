"""Formats quantities for people."""


def short_size(number: float) -> str:
    """A number of bytes in binary units: `5.0 GiB`."""
    if abs(number) < 1024:
        return f"{number:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        number /= 1024
        if abs(number) < 1024:
            return f"{number:.1f} {unit}"
    return f"{number / 1024:,.1f} EiB"
