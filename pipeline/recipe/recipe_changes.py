"""The difference between two recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_MAX_LINES = 20


def recipe_changes(
    before: Mapping[str, str], now: Mapping[str, str], *, ignored: Collection[str] = ()
) -> list[str]:
    """Return one line for each change, such as `optimizer.learning_rate: was 0.01, is 0.001`.

    Args:
        before: the values of a recipe by dotted path, from `loader.flatten`.
        now: the values of the other recipe.
        ignored: dotted paths of keys and sections that may differ.

    Returns:
        At most 20 lines, the last one `and N more` if there are more.
    """
    lines = [
        f"{path}: was {before.get(path, 'absent')}, is {now.get(path, 'absent')}"
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
        and not any(f"{path}.".startswith(f"{prefix}.") for prefix in ignored)
    ]
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES - 1 :] = [f"and {len(lines) - _MAX_LINES + 1} more"]
    return lines
