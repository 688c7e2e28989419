"""Scene classifiers of BigEarthNet v2 (reBEN, Clasen et al. 2025, arXiv 2407.03653): data, training, figures, hub."""
