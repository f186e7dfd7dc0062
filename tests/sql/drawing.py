"""What keeps a drawing of rows short: days counted from an index date, and columns that are the same in every row."""

import re
from datetime import date, timedelta

INDEX_DATE = date(2021, 1, 4)  # a Monday, so that D+7 is one, too


def drawn(drawing: str, **same: object) -> str:
    """A drawing with ``D-90`` written out as the date 90 days before D, and further columns of one value.

    The columns that are the same in every row are what a rule also needs but is not about. Their value may be a day,
    too.
    """
    lines = [line.strip() for line in drawing.strip().splitlines()]
    names, values = (
        list(same),
        [str(value).lower() if isinstance(value, bool) else str(value) for value in same.values()],
    )
    header = " | ".join([lines[0], *names])
    rows = [" | ".join([line, *values]) for line in lines[2:]]
    return re.sub(r"\bD([+-]\d+)\b", _date, "\n".join([header, "-", *rows]))


def cases(columns: str, rows: tuple[tuple[str, str], ...], then: str) -> tuple[str, str]:
    """Two drawings: what is given of episodes a, b, c ..., and what is then said of each."""
    ids = "abcdefghijklmnop"
    given = "\n".join(f"{ids[number]} | {row}" for number, (row, _) in enumerate(rows))
    said = "\n".join(f"{ids[number]} | {vote}" for number, (_, vote) in enumerate(rows))
    return f"episode_id | {columns}\n-\n{given}", f"episode_id | {then}\n-\n{said}"


def day(number: int) -> date:
    """The date a number of days after D."""
    return INDEX_DATE + timedelta(days=number)


def _date(match: re.Match[str]) -> str:
    return day(int(match[1])).isoformat()
