"""What generators are for: how one is fed, pictured, measured, and asked for on the command line.

    latent         images from noise, and a class where it takes one
    translation    images of one domain from those of another
    pairs          images made from their partners
    attributes     images with other attributes, several at once
    colorization   colours for grey images, led by hints
    text           images from what a text says

A generator says which it is for by its `task`.
"""

from gan_models.plugins import Registry
from gan_models.tasks.base import Task

TASKS: Registry[type[Task]] = Registry(
    "task",
    "gan_pipeline.tasks",
    {
        "latent": "gan_models.tasks.latent:Latent",
        "translation": "gan_models.tasks.translation:Translation",
        "pairs": "gan_models.tasks.pairs:Pairs",
        "attributes": "gan_models.tasks.attributes:Attributes",
        "colorization": "gan_models.tasks.colorization:Colorization",
        "text": "gan_models.tasks.text:Text",
    },
)
