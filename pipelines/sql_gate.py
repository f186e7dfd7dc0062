"""The one gate for SQL that is no code of this package: mappings, rules, tables of sql/ and queries of contracts.

Whoever writes them sees rows but must not reach a file, the network, the settings or the environment, nor change a
table. So a text passes only if DuckDB's own parser finds exactly one select in it, made of nothing but what is listed
here. What is not listed is refused: a function of a later DuckDB is not let in by an update.

A query can still take long; the memory it takes is the study's memory_limit. One small text that asks for a huge value
is refused, also where a row says how huge: a padding or a range has a bound in the text itself, and functions that
repeat or lay out without one are not listed.
"""

import json
import math
import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import duckdb

from pipelines import paths
from pipelines.errors import PipelineError

MAX_CHARACTERS = 200_000  # ten times the longest file that sqlfluff lints

# Parts of a parse tree: queries, joins and expressions that only read. No change of a table, no show or describe
# (they list the catalog), no recursion (it need not end), no collation, no pivot (it makes types as it goes).
NODES = {
    *("SELECT_NODE", "SET_OPERATION_NODE", "BASE_TABLE", "JOIN", "SUBQUERY", "EXPRESSION_LIST", "EMPTY"),
    *("TABLE_FUNCTION", "FUNCTION", "LAMBDA", "COLUMN_REF", "STAR", "VALUE_CONSTANT", "VALUE_PARAMETER"),
    *("CASE_EXPR", "OPERATOR_CAST", "TYPE", "CONJUNCTION_AND", "CONJUNCTION_OR", "COMPARE_BETWEEN"),
    *("COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN", "COMPARE_GREATERTHAN", "COMPARE_IN"),
    *("COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_NOT_IN"),
    *("COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM", "ARRAY_EXTRACT", "ARRAY_SLICE", "STRUCT_EXTRACT"),
    *("OPERATOR_COALESCE", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "OPERATOR_NOT", "OPERATOR_TRY"),
    *("ARRAY_CONSTRUCTOR", "GROUPING_FUNCTION", "POSITIONAL_REFERENCE"),
    *("WINDOW_AGGREGATE", "WINDOW_ROW_NUMBER", "WINDOW_RANK", "WINDOW_RANK_DENSE", "WINDOW_NTILE", "WINDOW_LAG"),
    *("WINDOW_LEAD", "WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE", "WINDOW_CUME_DIST"),
    *("WINDOW_PERCENT_RANK", "ORDER_MODIFIER", "ORDER_DEFAULT", "LIMIT_MODIFIER", "DISTINCT_MODIFIER"),
    *("ASCENDING", "DESCENDING", "NULLS_FIRST", "NULLS_LAST"),
}

# In a from clause: they make rows of their arguments.
TABLE_FUNCTIONS = {"unnest", "range", "generate_series"}

# Everywhere else: the same arguments give the same value, and nothing outside of them is read.
FUNCTIONS = frozenset(
    """
    + - * / // % ** ^ || & | << >> ~ @ ^@ ~~ !~~ ~~* !~~* ~~~ like_escape not_like_escape ilike_escape
    = <> != < > <= >= and or not

    abs ceil ceiling exp floor gcd greatest lcm least ln log log10 log2 mod pi pow power radians round round_even sign
    sqrt trunc isfinite isinf isnan even factorial fdiv fmod if ifnull nullif coalesce cbrt sin cos tan atan2 hash
    bit_count xor timezone typeof

    age date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth
    dayofweek dayofyear days_in_month epoch epoch_ms epoch_us hour isodow isoyear last_day make_date make_time
    make_timestamp minute month monthname quarter second strftime strptime time_bucket to_days to_hours to_microseconds
    to_milliseconds to_minutes to_months to_seconds to_timestamp to_weeks to_years try_strptime week weekday weekofyear
    year yearweek julian

    ascii char_length character_length chr concat concat_ws contains ends_with instr lcase left length
    levenshtein damerau_levenshtein jaccard jaro_similarity jaro_winkler_similarity lower lpad ltrim md5
    md5_number_lower nfc_normalize position prefix regexp_escape regexp_extract regexp_extract_all regexp_full_match
    regexp_matches regexp_replace regexp_split_to_array replace reverse right rpad rtrim sha256 split split_part starts_with
    str_split str_split_regex string_split string_split_regex string_to_array strip_accents strlen strpos substr
    substring suffix translate trim ucase unicode upper overlay

    array_append array_contains array_distinct array_extract array_filter array_length array_position array_slice
    array_sort array_to_string array_transform array_unique cardinality element_at flatten generate_series len list_aggr
    list_aggregate list_any_value list_append list_apply list_avg list_bool_and list_bool_or list_cat list_concat
    list_contains list_count list_distinct list_element list_extract list_filter list_first list_has list_has_all
    list_has_any list_indexof list_intersect list_last list_max list_median list_min list_pack list_position
    list_prepend list_reduce list_reverse list_reverse_sort list_select list_slice list_sort
    list_string_agg list_sum list_transform list_unique list_value list_where list_zip map map_concat map_contains
    map_entries map_extract map_extract_value map_from_entries map_keys map_values range row struct_concat
    struct_extract struct_extract_at struct_insert struct_pack unnest unpivot_list

    from_json json json_array json_array_length json_contains json_exists json_extract json_extract_path
    json_extract_path_text json_extract_string json_group_array json_group_object json_group_structure json_keys
    json_merge_patch json_object json_quote json_structure json_transform json_transform_strict json_type json_valid
    json_value to_json -> ->>

    any_value approx_count_distinct approx_quantile arbitrary arg_max arg_max_null arg_min arg_min_null argmax argmin
    array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif covar_pop covar_samp
    entropy favg first fsum geomean geometric_mean group_concat histogram kahan_sum kurtosis last list listagg mad max
    max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope skewness stddev stddev_pop stddev_samp string_agg sum sumkahan var_pop var_samp
    variance

    row_number rank dense_rank rank_dense percent_rank cume_dist ntile lag lead first_value last_value nth_value
    """.split()  # noqa: SIM905 (one name a line would be 400 lines)
)

PADDED = {"lpad", "rpad"}
MAX_PADDED_CHARACTERS = 1_000
RANGES = {"range", "generate_series"}
MAX_RANGE = 1_000_000
SIZES = {"len", "length", "array_length", "json_array_length", "cardinality", "strlen"}  # of what is held anyway
LONG_STEPS = {"to_days", "to_weeks", "to_months", "to_years"}  # no days that a DATE can have are too many of these

# DuckDB takes such a bare name for a function where no column has it.
SPOKEN_FUNCTIONS = {
    *("current_catalog", "current_database", "current_date", "current_query", "current_role", "current_schema"),
    *("current_time", "current_timestamp", "current_user", "localtime", "localtimestamp", "session_user", "user"),
}
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Refused(ValueError):
    """Says what does not pass the gate, and what to do, without naming where."""


def select(text: str, where: str, error: type[PipelineError], macros: Collection[str] = ()) -> Any:
    """The parse tree of exactly one select of the project's tables.

    Args:
        text: SQL, with parameters as ``$name``.
        where: What the text is, for the message.
        error: What is raised.
        macros: The project's own that it may call.

    Raises:
        PipelineError: The text is something else, or uses what is not listed in this module.
    """
    try:
        return _tree(text, macros)
    except Refused as refused:
        raise error(f"{where}: {refused}") from None


def condition(text: str, where: str, error: type[PipelineError]) -> None:
    """Refuse a condition on the rows of one table that is more than that."""
    select(f"select 1 from raw.delivery where {text}\n", where, error)  # with a parenthesis too many it is no SQL
    [statement] = select(f"select 1 from raw.delivery where (\n{text}\n)", where, error)["statements"]
    if statement["node"]["type"] != "SELECT_NODE":
        raise error(f"{where}: is more than a condition. Write one that is true or false of a row.")


@cache
def is_type(text: str) -> bool:
    """Whether a contract may give a column this type: a type to DuckDB's parser, with nothing behind it."""
    try:
        [statement] = _tree(f"select null::{text}")["statements"]
        [cast] = statement["node"]["select_list"]
    except (Refused, ValueError):
        return False
    return cast["type"] == "OPERATOR_CAST" and cast["child"]["type"] == "VALUE_CONSTANT" and not cast["alias"]


def nodes(node: object) -> Iterator[dict[str, Any]]:
    """Every node of a parse tree."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from nodes(child)


def _tree(text: str, macros: Collection[str] = ()) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise Refused(f"is longer than {MAX_CHARACTERS:,} characters. Split it into several tables.")
    try:
        [[serialized]] = duckdb.execute("select json_serialize_sql(?)", [text]).fetchall()
        tree = json.loads(serialized)
        found = list(nodes(tree))
    except (duckdb.Error, RecursionError, UnicodeError, json.JSONDecodeError):
        raise Refused("cannot be parsed. Nest it less and keep to plain text.") from None
    if tree.get("error"):
        message = str(tree["error_message"]).splitlines()[0].rstrip(".!")
        raise Refused(f"{message}. A file holds exactly one select.")
    if len(tree["statements"]) != 1:
        raise Refused(f"holds {len(tree['statements'])} statements. Keep one.")
    steps = {entry["key"] for node in found for entry in node.get("map", []) if "key" in entry}
    if odd := sorted(step for step in steps if not _PLAIN_NAME.fullmatch(step)):
        raise Refused(f"names a step {odd[0]!r}. Use letters, digits and underscores.")
    for node in found:
        _refuse_unlisted(node, {step.lower() for step in steps}, macros)
    return tree


def _refuse_unlisted(node: dict[str, Any], steps: set[str], macros: Collection[str]) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and kind not in NODES:
        if kind in {"INSERT_QUERY_NODE", "UPDATE_QUERY_NODE", "DELETE_QUERY_NODE", "MERGE_QUERY_NODE"}:
            raise Refused("changes a table. A file only selects.")
        raise Refused(f"uses {kind.lower().replace('_', ' ')}, which is not allowed. Say it as a plain select.")
    if node.get("sample"):
        raise Refused("samples rows, so that no two runs are alike. Select all of them.")
    if kind == "TABLE_FUNCTION" and str(node["function"].get("function_name", "")).lower() not in TABLE_FUNCTIONS:
        raise Refused(f"reads from {node['function'].get('function_name')}(). Read declared tables only.")
    if "function_name" in node:
        _refuse_unlisted_function(node, macros)
        _refuse_huge(node)
    if kind == "BASE_TABLE":
        _refuse_unlisted_table(node, steps)
    if kind == "COLUMN_REF" and SPOKEN_FUNCTIONS & {".".join(node["column_names"]).lower()}:
        raise Refused("calls the clock or the session, which differ from run to run. Use a column or a parameter.")


def _refuse_unlisted_function(node: dict[str, Any], macros: Collection[str]) -> None:
    name = node["function_name"].lower()
    if node.get("schema") or node.get("catalog") or name not in FUNCTIONS | TABLE_FUNCTIONS | {*macros}:
        raise Refused(f"calls {name}(), which is not among the functions of pipelines/sql_gate.py. Do without it.")


def _refuse_huge(node: dict[str, Any]) -> None:
    """Refuse a value that is huge whatever the rows: DuckDB makes it outside of its memory limit."""
    name = node["function_name"].lower()
    arguments = [argument["expression"] for argument in node.get("arguments", [])]
    if name in PADDED and len(arguments) > 1:
        width = _number(arguments[1])
        if width is None or width > MAX_PADDED_CHARACTERS:
            raise Refused(f"calls {name}() to a width that is no number up to {MAX_PADDED_CHARACTERS:,}. Write one.")
    if name in RANGES:
        _refuse_huge_range(name, arguments)


def _refuse_huge_range(name: str, arguments: list[dict[str, Any]]) -> None:
    if len(arguments) == 3 and _is_long_step(arguments[2]):
        return
    first, last = (arguments[0], arguments[1]) if len(arguments) > 1 else ({"literal": {"text": "0"}}, arguments[0])
    step = _number(arguments[2]) if len(arguments) > 2 else 1
    ends = []
    if step is None or step > 0:
        ends += [_bounds(first)[0], _bounds(last)[1]]
    if step is None or step <= 0:  # it counts down
        ends += [_bounds(first)[1], _bounds(last)[0]]
    if max(map(abs, ends)) > MAX_RANGE or (step is not None and abs(step) < 1):
        raise Refused(
            f"calls {name}() to more than {MAX_RANGE:,}, or to what a row may say. Write numbers, bound a column by "
            "least(column, 1000), or count days by interval 1 day."
        )


def _bounds(node: dict[str, Any]) -> tuple[float, float]:
    """Between what the text itself holds a number: a column is anything."""
    number = _number(node)
    if number is not None:
        return number, number
    if node.get("type") == "OPERATOR_CAST":
        return _bounds(node["child"])
    if node.get("type") == "VALUE_PARAMETER":
        return -MAX_RANGE, MAX_RANGE
    name = str(node.get("function_name")).lower()
    if name in SIZES:
        return 0, 0
    found = [_bounds(argument["expression"]) for argument in node.get("arguments", [])]
    if found and name in ("least", "greatest"):
        bound = min if name == "least" else max
        return bound(low for low, _ in found), bound(high for _, high in found)
    if len(found) == 2 and name == "+":
        return found[0][0] + found[1][0], found[0][1] + found[1][1]
    if len(found) == 2 and name == "-":
        return found[0][0] - found[1][1], found[0][1] - found[1][0]
    if len(found) == 1 and name == "-":
        return -found[0][1], -found[0][0]
    return -math.inf, math.inf


def _is_long_step(node: dict[str, Any]) -> bool:
    """Whether a step is a day or more, so that a range is one of days: interval 1 day, interval '2 weeks'."""
    while node.get("type") == "OPERATOR_CAST" and "literal" not in node["child"]:
        node = node["child"]
    if str(node.get("function_name")).lower() in LONG_STEPS:
        return any((_number(part) or 0) >= 1 for part in nodes(node))
    said = str(node.get("child", {}).get("literal", {}).get("text"))
    return re.fullmatch(r"[1-9]\d* (day|week|month|year)s?", said) is not None


def _number(node: dict[str, Any]) -> float | None:
    """The number that a node of a parse tree stands for; None if it is anything else."""
    try:
        return float(node["literal"]["text"])
    except (KeyError, TypeError, ValueError):
        return None


def _refuse_unlisted_table(node: dict[str, Any], steps: set[str]) -> None:
    schema, name = node["schema_name"], node["table_name"]
    if node.get("catalog_name") or node.get("at_clause"):
        raise Refused(f"reads from {name} of another database or time. Use schema.name.")
    if not schema and name.lower() not in steps:
        raise Refused(f"reads from {name}, which is no table. Use schema.name.")
    if schema and not (_is_of_a_step(schema) and _PLAIN_NAME.fullmatch(name)):
        raise Refused(f"reads from {schema}.{name}, which is no table of this project. Read declared tables only.")


def _is_of_a_step(schema: str) -> bool:
    """A schema is called after a step, or after a step and a source."""
    return any(schema == step or schema.startswith(f"{step}_") for step in _steps())


@cache
def _steps() -> list[str]:
    return [folder.name.split("_", 1)[1] for folder in sorted(paths.DATA_CONTRACTS.glob("[0-9]_*"))]
