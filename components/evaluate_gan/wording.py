"""Figures in words, alike in tables and sentences."""


def number(value: float, is_share: bool = False) -> str:
    """Three digits are as many as such a figure has; shares in per cent."""
    if is_share:
        return f"{100 * value:.1f} %"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Of a stage.

    >>> duration(4.21), duration(227), duration(7260)
    ('4.2 s', '3 min 47 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
