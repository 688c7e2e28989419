"""Model packages: what they hold, where they are, and whether they can be trusted.

- `package`: a package and its item, read; `members`, `item`, `scaling`: its parts; `applicability`: what it is for
- `dialects`: items that other software wrote
- `trust`: checksums, confined paths, and scans of weights before a runtime opens them
- `fetch`: references, downloads, the cache and its pins
- `lint`, `repair`: defects of an item, and a valid item out of one that has them
- `publish`: write a package, pack weights, push to a hub
- `example`: example data; `optimized`: members converted for this processor
- `documents`, `table`: JSON of strangers
"""
