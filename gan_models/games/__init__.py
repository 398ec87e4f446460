"""Games: the procedure of one training iteration, a folder each: `spec.py` (its settings, no PyTorch), `game.py`.

The loop (`gan_models.training.loop`) knows nothing of GANs beyond `games.base.Game`.
"""

from gan_models.games.spec import GameSpec
from gan_models.plugins import Registry

GAMES: Registry[type[GameSpec]] = Registry(
    "game.kind",
    "gan_pipeline.games",
    {
        # Any loss on D's logits, any regularizers (Goodfellow et al. 2014); the same on images that double in size.
        "adversarial": "gan_models.games.adversarial.spec:Adversarial",
        "progressive": "gan_models.games.progressive.spec:Progressive",
        "stylegan2": "gan_models.games.stylegan2.spec:StyleGan2",  # styles mixed, penalties in steps of their own
        "semi-supervised": "gan_models.games.semi_supervised.spec:SemiSupervised",  # D is the classifier
        "text": "gan_models.games.text.spec:TextToImage",  # pairs of image and text, in two stages
        "cycle": "gan_models.games.cycle.spec:Cycle",  # two domains without pairs
        "attribute-transfer": "gan_models.games.attribute_transfer.spec:AttributeTransfer",  # any number of domains
        "paired": "gan_models.games.paired.spec:Paired",  # an image from its partner
        "colorization": "gan_models.games.colorization.spec:Colorization",  # true colours against drawn ones
    },
)
