"""The work behind `gan-pipeline run` and `retrain`."""
