"""Compat: the functions of other cloud maskers, with their parameters, on undercast's models.

A script changes one import: ``from undercast.compat.clouds2mask import ...``. What differs is on purpose and said in
each module; above all, pixels without data are 255 and not clear, unless ``nodata=0`` is asked for.
"""
