"""Names of the files and folders that the library writes, for all who look for them. Needs no PyTorch."""

# A generator folder (gan_models.sampling.generator).
WEIGHTS_FILE = "generator.safetensors"
RECIPE_FILE = "recipe.yaml"
INFO_FILE = "generator.json"
GENERATOR_FILES = (WEIGHTS_FILE, RECIPE_FILE, INFO_FILE)

# A training folder (gan_models.training.loop).
CHECKPOINTS_FOLDER = "checkpoints"
GENERATORS_FOLDER = "generators"
SAMPLES_FOLDER = "samples"
HISTORY_FILE = "history.csv"

GRID_FILE = "grid.png"  # of samples, in an exported folder
