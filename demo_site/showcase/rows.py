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
    blank, given = model(), [model._meta.get_field(name) for name in names]
    others = [f for f in model._meta.concrete_fields if not (f.primary_key or f in given)]
    usual = [f.get_db_prep_save(getattr(blank, f.attname), connection) for f in others]
    quote = connection.ops.quote_name
    columns = [field.column for field in (*given, *others)]
    statement = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(map(quote, columns))}) "
        f"VALUES ({', '.join(['%s'] * len(columns))}) ON CONFLICT DO NOTHING"
    )
    _execute(statement, [[*row, *usual] for row in _converted(given, rows)])


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
    where, still = f"{quote(model._meta.pk.column)} = %s", []
    if sources:
        state = quote(model._meta.get_field("state").column)
        changes.append(f"{state} = '{target}'")
        where += f" AND {state} IN ({', '.join(['%s'] * len(sources))})"
        still = list(sources)
    statement = f"UPDATE {quote(model._meta.db_table)} SET {', '.join(changes)} WHERE {where}"
    _execute(statement, [[*row, *still] for row in _converted(columns, rows)])


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


def _converted(fields: Sequence[models.Field], rows: list[Sequence]) -> list[Sequence]:
    """Rows whose first values are those of `fields`, as the database keeps them.

    Numbers, text and bytes are that already; a date is mostly the same in all rows.
    """
    others = [at for at, field in enumerate(fields) if not isinstance(field, _PLAIN)]
    if not others:
        return rows
    rows, known = [list(row) for row in rows], {}
    for row in rows:
        for at in others:
            if (at, row[at]) not in known:
                known[at, row[at]] = fields[at].get_db_prep_save(row[at], connection)
            row[at] = known[at, row[at]]
    return rows


def _execute(statement: str, values: list[list]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
