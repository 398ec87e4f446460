"""Games: the procedure of one training iteration, a folder each: `spec.py` (its settings, no PyTorch), `game.py`.

    adversarial         any loss on D's logits, any regularizers (Goodfellow et al. 2014)
    progressive         the same on images that double in size (Karras et al. 2018)
    semi-supervised     D is the classifier (Salimans et al. 2016)
    text                pairs of image and text, in two stages (Zhang et al. 2017)
    cycle               two domains without pairs (Zhu et al. 2017)
    attribute-transfer  any number of domains (Choi et al. 2018)
    colorization        true colours against drawn ones (Isola et al. 2017; Zhang et al. 2017)

The loop (`gan_models.training.loop`) knows nothing of GANs beyond `games.base.Game`.
"""

from __future__ import annotations

from gan_models.games.spec import GameSpec
from gan_models.plugins import Registry

GAMES: Registry[type[GameSpec]] = Registry(
    "game.kind",
    "gan_pipeline.games",
    {
        "adversarial": "gan_models.games.adversarial.spec:Adversarial",
        "progressive": "gan_models.games.progressive.spec:Progressive",
        "semi-supervised": "gan_models.games.semi_supervised.spec:SemiSupervised",
        "text": "gan_models.games.text.spec:TextToImage",
        "cycle": "gan_models.games.cycle.spec:Cycle",
        "attribute-transfer": "gan_models.games.attribute_transfer.spec:AttributeTransfer",
        "colorization": "gan_models.games.colorization.spec:Colorization",
    },
)
