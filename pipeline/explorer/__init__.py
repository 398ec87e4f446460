"""The page of `gan-pipeline explore`: what `gan_models.exploring` can do, to click on."""
