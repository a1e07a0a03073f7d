"""Many rows written at once: one prepared statement for all, without a model object for each.

Values are what the database keeps: ids, numbers, text, and dates and bytes as Django gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection, models

_PLAIN = (
    models.IntegerField,
    models.AutoField,
    models.ForeignKey,
    models.CharField,
    models.FloatField,
    models.BooleanField,
    models.BinaryField,
)


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Insert rows given by the fields `names`, the other fields by default; what is there, stays.

    A row that breaks a unique constraint is left out, so the same insert may be made twice.
    """
    rows = list(rows)
    if not rows:
        return
    fields = [f for f in model._meta.concrete_fields if not f.primary_key]
    blank = model()
    columns, places = [], []
    for field in fields:
        if field.name in names:
            places.append((names.index(field.name), _converter(field)))
        else:
            value = field.get_db_prep_save(getattr(blank, field.attname), connection)
            places.append((-1, value))
        columns.append(field.column)
    quote = connection.ops.quote_name
    statement = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(map(quote, columns))}) "
        f"VALUES ({', '.join(['%s'] * len(fields))}) ON CONFLICT DO NOTHING"
    )
    _execute(statement, [[p if i < 0 else p(row[i]) for i, p in places] for row in rows])


def update_rows(
    model: type[models.Model],
    names: Sequence[str],
    rows: Iterable[Sequence],
    *,
    sources: Sequence[str] = (),
    target: str = "",
) -> None:
    """Write the fields `names`; each row is their values, then its primary key.

    With `sources`, only rows whose `state` is one of these, which becomes `target`: the steps of
    `states.Machine`.
    """
    rows = list(rows)
    if not rows:
        return
    columns = [model._meta.get_field(name) for name in names]
    quote = connection.ops.quote_name
    changes = [f"{quote(column.column)} = %s" for column in columns]
    ways = [*map(_converter, columns)]
    where, still = f"{quote(model._meta.pk.column)} = %s", []
    if sources:
        state = quote(model._meta.get_field("state").column)
        changes.append(f"{state} = '{target}'")
        where += f" AND {state} IN ({', '.join(['%s'] * len(sources))})"
        still = list(sources)
    statement = f"UPDATE {quote(model._meta.db_table)} SET {', '.join(changes)} WHERE {where}"
    values = [
        [*(w(v) for w, v in zip(ways, row[:-1], strict=True)), row[-1], *still] for row in rows
    ]
    _execute(statement, values)


def find_rows(
    model: type[models.Model], names: Sequence[str], field: str, values: Iterable, *, more: str = ""
) -> list[tuple]:
    """The fields `names` of all rows whose `field` is one of `values` (at most some hundreds).

    As the database keeps them. `more` is a further column in SQL. A filter `field__in` says the
    same in three times the time, which counts where it is asked for each group of chips.
    """
    values = list(values)
    if not values:
        return []
    quote = connection.ops.quote_name
    columns = [quote(model._meta.get_field(name).column) for name in names]
    columns += [more] if more else []
    statement = (
        f"SELECT {', '.join(columns)} FROM {quote(model._meta.db_table)} "
        f"WHERE {quote(model._meta.get_field(field).column)} IN ({', '.join(['%s'] * len(values))})"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def _converter(field: models.Field):
    """From Python's value to the database's; numbers, text and bytes are that already."""
    if isinstance(field, _PLAIN):
        return lambda value: value
    converted: dict = {}  # a date is mostly the same in all rows

    def convert(value):
        if value not in converted:
            converted[value] = field.get_db_prep_save(value, connection)
        return converted[value]

    return convert


def _execute(statement: str, values: list[list]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
