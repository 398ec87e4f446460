"""Figures in words, alike in tables and sentences."""

_DAYS = 3  # from so many on nobody wants to know the minutes


def number(value: float, is_share: bool = False) -> str:
    """Three digits are as many as such a figure has; shares in per cent."""
    if is_share:
        return f"{100 * value:.1f} %"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Of a stage.

    >>> duration(4.21), duration(227), duration(7260), duration(864000)
    ('4.2 s', '3 min 47 s', '2 h 1 min', '10 days')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= _DAYS * 24 * 60:
        return f"{minutes / (24 * 60):,.0f} days"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
