"""Columns as the tables of other libraries, which are imported when somebody asks for one."""

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zeuxis.core.errors import Unable

if TYPE_CHECKING:
    import pandas
    import pyarrow


class Tabular:
    """What has columns: a table of it has a line for each image, in the order of its array."""

    def table(self) -> Mapping[str, Sequence[Any]]:
        """Its columns by name; None where a value is unknown."""
        raise NotImplementedError

    def to_arrow(self) -> "pyarrow.Table":
        """A `pyarrow.Table` of its columns.

        Raises:
            Unable: pyarrow is not installed.
        """
        return imported("pyarrow").table(dict(self.table()))

    def to_pandas(self) -> "pandas.DataFrame":
        """A `pandas.DataFrame` of its columns.

        Raises:
            Unable: pandas is not installed.
        """
        return imported("pandas").DataFrame(dict(self.table()))


def imported(library: str) -> Any:
    """A library that is not needed for anything else.

    Raises:
        Unable: it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise Unable(f"this table needs {library}: pip install {library}") from error
