"""The work behind the longer commands of `gan-pipeline`: runs, what is tracked, the registry of models."""
