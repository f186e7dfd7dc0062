"""Errors a user can mend: one line, no traceback, exit code 1. Anything else that is raised is a bug.

Every message reads ``<where>: <what is wrong>. <what to do>.`` and never holds a value of a row.
"""


def printable(text: str) -> str:
    """Text with names of delivered files and columns in it: nothing acts on a terminal or breaks a line."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


class PipelineError(Exception):
    """Base class: the command line prints it without a traceback, in one line."""

    def __init__(self, message: str):
        super().__init__(printable(message))


class StudyError(PipelineError):
    """A study file cannot be read, or asks for what is not there."""


class ContractError(PipelineError):
    """A file under data_contracts/ cannot be read."""


class SqlFileError(PipelineError):
    """A file under sql/ breaks a rule that this project keeps."""


class ExtractError(PipelineError):
    """A delivered file is missing or cannot be the extract its contract describes."""


class IdentifierError(ExtractError):
    """A delivered file holds what identifies people."""


class LedgerError(PipelineError):
    """Rows went missing or were made up between two steps."""


class CheckError(PipelineError):
    """A blocking check failed."""


class WorkspaceError(PipelineError):
    """The output folder is in use, or cannot be written."""
