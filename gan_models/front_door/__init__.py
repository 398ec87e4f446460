"""What `import gan_models as gm` offers, one file for each thing that can be asked. Listed in `gan_models/__init__.py`.

Everything here is a few lines around the library: settings are a recipe's, a training is `gan_models.training.loop`'s.
"""
