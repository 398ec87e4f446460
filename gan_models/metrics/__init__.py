"""How good generated images are: feature extractors, and the figures computed from features.

scores.py            `METRICS`, the one list of metrics; metric.py says what a metric is
extractors.py        `EXTRACTORS`, the one list of extractors; choice.py says which one fits the data
extraction.py        what an extractor is and gives (classifier.py, efficientnet.py, inception.py, dinov2.py)
evaluating.py        any images against any others: `evaluate`; evaluation_page.py writes what it finds as a page
protocols.py         `PROTOCOLS`: how published figures were made; protocol.py: how one figure was
image_sets.py        images wherever they lie, read a few at a time; resizing.py: as reference implementations do it
judge.py             an extractor at work on one data set: real features, cached on disk, and generated ones
bootstrap.py         how sure the difference of two generators is
frechet.py           Frechet distance (FD; with the 2015 Inception network: FID); intra_class.py: within classes
kernel_distance.py   kernel distance (KID)
inception_score.py   Inception Score (IS)
neighbours.py        precision, recall, density, coverage; nearest neighbours
memorisation.py      are training images repeated
cache.py             files made once for all runs, by one process at a time; locations.py says where they lie

Both lists, metric.py and choice.py need no PyTorch.
"""
