"""Searches of MLflow, which returns long results in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def iterate_pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield all results of a search; each page is fetched once it is needed.

    Args:
        search: returns the page with a token, None for the first, as MLflow's `PagedList`.
    """
    token = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def experiment_ids(client: Any) -> list[str]:
    """Return the ids of all active experiments."""
    experiments = iterate_pages(lambda token: client.search_experiments(page_token=token))
    return [experiment.experiment_id for experiment in experiments]
