"""Recipes as earlier versions wrote them, brought to the present form: generator folders, champions, people's files.

Values are moved, and left out where they are what the present form has without saying so; nothing is judged here but
what no longer has a place to be judged in.
"""

from collections.abc import Mapping
from typing import Any

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families import FAMILIES
from gan_models.families.resolutions import SIZES, plan
from gan_models.losses import LOSSES

_PLAIN: dict[str, tuple[Any, ...]] = {
    "norm": ("none",),
    "spectral_norm": (False,),
    "attention": ([], ()),
    "minibatch": ("none",),
    "init": ("family",),
}
"""Settings that every network had, with the values by which one that cannot do it said so."""
_OWN_NORM = {"biggan": "batch"}  # families whose norm could be named, though there was no other
_FIRST_R3GAN = {"attention", "init", "width", "max_width", "blocks", "expansion", "group"}
"""Settings of R3GAN's networks before they had forms. A generator folder spells out all of them, and its weights are
for the first form; who leaves some out, as people do, is given the published one."""
_OF_LOSSES = {
    "label_smoothing": (
        0.0,
        "game.label_smoothing smooths class targets, which game.loss={loss} does not have: set it to 0, or use one of "
        "{losses}",
    ),
    "targets": ([0.0, 1.0, 1.0], "game.targets are those of {losses}, and game.loss is {loss}: leave them out"),
}
"""Settings of a loss that stood beside its name: the usual value, and the sentence for a loss that lacks it."""


def migrate(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same recipe in the present form, or as it is; RequestError for a setting of another loss than its own."""
    migrated = dict(document)
    if isinstance(game := migrated.get("game"), dict):
        migrated["game"] = _game(game)
    if isinstance(networks := migrated.get("networks"), dict):
        networks = {player: _network(player, section) for player, section in networks.items()}
        data = migrated.get("data")
        size = data.get("size") if isinstance(data, dict) else None
        migrated["networks"] = {player: _sngan(player, section, size) for player, section in networks.items()}
    return migrated


def _game(game: dict[str, Any]) -> dict[str, Any]:
    """`loss: least-squares` and `targets` beside it: `loss: {name: least-squares, targets: ...}`."""
    rest = {key: value for key, value in game.items() if key not in _OF_LOSSES}
    loss = game.get("loss", "non-saturating")
    loss = {"name": loss} if isinstance(loss, str) else loss
    if not isinstance(loss, dict) or loss.get("name") not in LOSSES:
        return game
    for setting, (usual, sentence) in _OF_LOSSES.items():
        value = game.get(setting, usual)
        if setting in LOSSES[loss["name"]].model_fields:
            loss = {**loss, **({setting: value} if setting in game else {})}
        elif list(value) != usual if isinstance(value, list | tuple) else value != usual:
            having = [name for name, known in LOSSES.items() if setting in known.model_fields]
            raise RequestError(sentence.format(loss=loss["name"], losses=", ".join(having)))
    return {**rest, "loss": loss} if "loss" in game or len(loss) > 1 else rest


def _network(player: str, section: Any) -> Any:
    """Without the settings that its family does not have, where they said as much; what is no player's as it is."""
    name = str(section.get("family")) if isinstance(section, dict) else ""
    if name not in FAMILIES or player not in FAMILIES[name].players:
        return section
    known = FAMILIES[name].players[player].model_fields
    plain = dict(_PLAIN)
    if player == "generator" and name in _OWN_NORM:
        plain["norm"] = (_OWN_NORM[name],)
    first = {"form": "first"} if name == "r3gan" and section.keys() >= _FIRST_R3GAN and "form" not in section else {}
    kept = {key: value for key, value in section.items() if key in known or value not in plain.get(key, ())}
    return kept | first


def _sngan(player: str, section: Any, size: Any) -> Any:
    """Widths of the family sngan over 32 pixels, as they were when `width` was that of the coarsest four maps.

    Only of whole sections, as they lie beside generators: in what people write, `width` has its present meaning.
    """
    whole = {"family", "norm", "spectral_norm", "attention", "init", "width"}
    if not isinstance(section, dict) or section.get("family") != "sngan" or "max_width" in section:
        return section
    if not whole <= set(section) or size not in SIZES or size <= 32:
        return section
    width, doublings = section["width"], plan(Size.square(size), "sngan").doublings
    finest, left = divmod(width, 1 << (doublings - 3))
    if left:
        raise RequestError(
            f"networks.{player}.width={width}: an earlier version rounded widths that it halved, which this one does "
            f"not: train anew with a multiple of {1 << (doublings - 3)}"
        )
    before = {**section, "width": finest, "max_width": width}
    return before if player == "generator" else {**before, "halvings": doublings - 1, "blocks": doublings + 1}
