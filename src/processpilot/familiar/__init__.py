"""The names that are in people's fingers, such as `restore.sh` or `db:health-check`.

What a line of them means is decided in `meaning`; some are other command lines of the program, the
rest is carried out here. `scripts` writes thin executables of those names.
"""
