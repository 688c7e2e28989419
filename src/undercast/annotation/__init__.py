"""Annotation: a person's points become a reference mask, after ALCD (active learning for cloud detection).

Baetens, Desjardins and Hagolle 2019 (Remote Sensing 11, 433): points of seven classes train a random forest, its map
shows where it is wrong or unsure, more points are set there, and so on until the person is content.
"""
