"""Read Delta and Iceberg tables as sources: the data files of their newest snapshot, with the library of each format.

Data files of both formats never change, and their names are never used again, so a file that was loaded is not read again. Rows that a
newer snapshot deleted stay in the store. If rows are rewritten into a new file, that file is read, and its unchanged rows count as
duplicates.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.lake.addresses import LakeAddress, plain_http_is_needed
from observability.lake.object_files import CHECK, first_line
from observability.store.types.sources import SourceFile

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_A_BATCH = 20_000
ICEBERG_FROM_ENVIRONMENT = {
    "s3.endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "s3.region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
"""Settings of PyIceberg whose environment variables have other names. PyIceberg finds its credentials in the environment by itself."""


@dataclass(frozen=True)
class DeltaSource:
    """A Delta table as a source of files."""

    place: LakeAddress
    format: str = "delta"

    @property
    def address(self) -> str:
        """The address of the table."""
        return self.place.text

    def list_files(self) -> tuple[list[SourceFile], int]:
        """The data files of the newest version. Raises UsageError if the table uses a feature that the library cannot read."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

        options = {"AWS_ALLOW_HTTP": "true"} if self.place.scheme and plain_http_is_needed(os.environ) else None
        try:
            table = DeltaTable(self.place.request, storage_options=options)
            dataset = table.to_pyarrow_dataset()
            sizes = {str(action["path"]): int(action["size_bytes"]) for action in _rows(table.get_add_actions(flatten=True))}
        except TableNotFoundError:
            raise NotFoundError("there is no Delta table at this address", got=self.address) from None
        except DeltaProtocolError as error:
            raise UsageError("the Delta table cannot be read", where=self.address, got=first_line(error)) from None
        except (DeltaError, OSError, ValueError) as error:
            raise StoreBrokenError("the source cannot be read", where=self.address, got=first_line(error), attempt=CHECK) from None
        columns, files = list(dataset.schema.names), []
        for fragment in dataset.get_fragments():
            batches = partial(fragment.to_batches, schema=dataset.schema, batch_size=ROWS_A_BATCH, batch_readahead=1)
            name = fragment.path
            files.append(SourceFile(name, name, sizes.get(name, 0), columns=columns, batches=batches, immutable=True))
        return sorted(files, key=lambda file: file.name), 0


def _rows(actions: Any) -> Iterable[dict[str, Any]]:
    """The add actions of a Delta table as dicts, whichever Arrow library holds them."""
    import pyarrow as pa

    return pa.table(actions).select(["path", "size_bytes"]).to_pylist()


@dataclass(frozen=True)
class IcebergSource:
    """An Iceberg table, given as iceberg://CATALOG/NAMESPACE.TABLE of a catalog that PyIceberg knows, or as the folder of the table."""

    place: LakeAddress
    metadata: str = ""
    format: str = "iceberg"

    @property
    def address(self) -> str:
        """The address of the table."""
        return self.place.text

    def list_files(self) -> tuple[list[SourceFile], int]:
        """The data files of the current snapshot."""
        table = self._table()
        try:
            scan = table.scan()
            tasks, columns = list(scan.plan_files()), [field.name for field in scan.projection().fields]
        except Exception as error:  # the library raises many kinds of errors
            raise StoreBrokenError("the source cannot be read", where=self.address, got=first_line(error), attempt=CHECK) from None
        root = table.location().rstrip("/") + "/"
        files = []
        for task in tasks:
            name = task.file.file_path.removeprefix(root)
            deletes = sorted(each.file_path for each in task.delete_files)
            batches = partial(_iceberg_batches, table, scan.projection(), task)
            size = task.file.file_size_in_bytes
            files.append(SourceFile(name, "|".join([name, *deletes]), size, columns=columns, batches=batches, immutable=True))
        return sorted(files, key=lambda file: file.name), 0

    def _table(self) -> Any:
        from pyiceberg.catalog import load_catalog
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
        from pyiceberg.table import StaticTable

        given = {
            setting: next((os.environ[name] for name in names if os.environ.get(name)), "")
            for setting, names in ICEBERG_FROM_ENVIRONMENT.items()
        }
        settings = {name: value for name, value in given.items() if value}
        try:
            if self.metadata:
                return StaticTable.from_metadata(self.metadata, settings)
            catalog, _, name = self.address.removeprefix("iceberg://").partition("/")
            if not catalog or "." not in name:
                raise UsageError("the address names no table", got=self.address, expected="iceberg://CATALOG/NAMESPACE.TABLE")
            return load_catalog(catalog, **settings).load_table(name)
        except UsageError:
            raise
        except (NoSuchTableError, NoSuchNamespaceError, FileNotFoundError):
            raise NotFoundError("there is no Iceberg table at this address", got=self.address) from None
        except Exception as error:  # the library raises many kinds of errors
            attempt = "Set the catalog up for PyIceberg (docs/lake.md), and check the network and the credentials in the environment"
            raise StoreBrokenError(
                "the Iceberg table cannot be opened", where=self.address, got=first_line(error), attempt=attempt
            ) from None


def _iceberg_batches(table: Any, projection: Any, task: Any) -> "Iterator[pa.RecordBatch]":
    """The rows of a data file without deleted rows, with the columns that the table has now.

    The library's `to_record_batches` keeps a whole file in memory, so the generator that it is built on is used directly (PyIceberg 0.12).
    """
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.io import pyarrow as reading

    scan = reading.ArrowScan(table.metadata, table.io, projection, AlwaysTrue())
    deletes = reading._read_all_delete_files(table.io, [task])
    yield from scan._record_batches_from_scan_tasks_and_deletes([task], deletes)
