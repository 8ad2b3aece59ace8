"""Running one piece of work over many items with a few threads.

Items are taken from the iterator only when a thread is free, so a long sequence is never held in
memory. The first failure stops the rest and is raised in the caller's thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def run_all(work: Callable[[Item], None], items: Iterable[Item], workers: int) -> None:
    """Call `work` once for every item; returns when all are done."""
    source = iter(items)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def pull() -> None:
        try:
            while not failures:
                with lock:
                    try:
                        item = next(source)
                    except StopIteration:
                        return
                work(item)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=pull, name=f"worker-{n}") for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
