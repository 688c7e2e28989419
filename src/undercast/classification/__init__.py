"""Scene classification: labels for windows of a scene, clouds first.

- `classify`: a scene and a classifier give a table of windows; `clouds`, `windows`, `sentinel1`: its steps
- `package`: a classifier's package, written and read; `item`: its description; `classifier`: its network, loaded
- `files`: GeoParquet, GeoJSON and CSV; `flags`: cloud flags of a data set beside those of the mask
"""
