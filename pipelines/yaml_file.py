"""YAML that others write, study files and contracts: read safely, and bounded before anything is made of it."""

from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import PipelineError

MAX_BYTES = 1_000_000  # the longest contract has 5,000
MAX_DEPTH = 20  # the deepest contract has 5
MAX_ALIASES = 50  # an alias of aliases of aliases is a page that grows to gigabytes


class _Loader(yaml.CSafeLoader):
    """Plain values only, as in the safe loader, and no key twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if len(keys) != len(set(map(str, keys))):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read(path: Path, where: str, error: type[PipelineError]) -> Any:
    """What a YAML file holds, as plain lists, dicts, texts, numbers and dates.

    Args:
        where: What the file is called in messages.
        error: What is raised.

    Raises:
        PipelineError: It cannot be read, is not YAML, or is larger, deeper or more entangled than such a file is.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise error(f"{where}: cannot be read ({fault.strerror}). Give yourself the right to read it.") from None
    if len(content) > MAX_BYTES:
        raise error(f"{where}: is larger than {MAX_BYTES:,} bytes, which no such file is. Shorten it.")
    try:
        text = content.decode("utf-8-sig")
        _refuse_entangled(text, where, error)
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as fault:
        # A number of thousands of digits, a month 13 and a list as a key are errors of Python, not of YAML.
        mark = getattr(fault, "problem_mark", None)
        line = f"line {mark.line + 1} " if mark else ""
        raise error(f"{where}: {line}is not YAML. Mend the indentation, quoting or repeated key there.") from None


def _refuse_entangled(text: str, where: str, error: type[PipelineError]) -> None:
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            raise error(f"{where}: is nested deeper or repeats more by alias than such a file does. Write it plainly.")
