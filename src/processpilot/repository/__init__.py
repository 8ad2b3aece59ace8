"""The stored format: keys, packs, manifests, archived WAL, retention and verification.

`docs/repository-format.md` specifies every byte. This package reads and writes that format
through an `ObjectStore`; it never talks to a database and never writes a data directory.
"""
