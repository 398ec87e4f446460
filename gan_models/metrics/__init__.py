"""How good generated images are: feature extractors, and the figures computed from features.

frechet.py           Frechet distance (FD; with the 2015 Inception network: FID)
kernel_distance.py   kernel distance (KID)
inception_score.py   Inception Score (IS)
neighbours.py        precision, recall, density, coverage; nearest neighbours
scores.py            all of them for one sample against one reference, and their names
choice.py            which extractor fits the data, without importing PyTorch
extractors.py        what an extractor is; loads one by name (classifier.py, efficientnet.py, inception.py)
judge.py             an extractor at work on one data set: real features, cached on disk, and generated ones
cache.py             files made once for all runs, by one process at a time; locations.py says where they lie
"""
