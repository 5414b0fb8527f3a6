"""Open the source at an address. Its format is recognized from the files there."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from observability.core.errors import UsageError
from observability.lake.addresses import BUCKETS, LakeAddress, checked_address
from observability.lake.https_file import HttpsFile
from observability.lake.object_files import ENDINGS, FolderFiles, ObjectFiles, bucket_store, told_failures
from observability.lake.table_formats import DeltaSource, IcebergSource
from observability.store.types.sources import DataSource

METADATA = re.compile(r"(?:v)?(\d+)(?:-[0-9a-f-]+)?\.(?:gz\.)?metadata\.json")


def open_data_source(text: str, allow: Sequence[str] | None = None) -> DataSource:
    """The source at an address or in a local folder. allow: see lake.toml. Raises UsageError, NotFoundError, StoreBrokenError."""
    address = checked_address(text, allow)
    if address.scheme == "iceberg":
        return IcebergSource(address)
    if address.scheme in ("https", "http"):
        return HttpsFile(address)
    if address.path is not None:
        return _folder_source(address, address.path)
    if address.scheme in BUCKETS:
        return _bucket_source(address)
    raise UsageError("addresses of this kind are not read", got=address.text)


def _folder_source(address: LakeAddress, folder: Path) -> DataSource:
    if (folder / "_delta_log").is_dir():
        return DeltaSource(address)
    if newest := newest_metadata([path.name for path in folder.glob("metadata/*.metadata.json")]):
        return IcebergSource(address, str(folder / "metadata" / newest))
    return FolderFiles(folder)


def _bucket_source(address: LakeAddress) -> DataSource:
    if address.text.lower().endswith(ENDINGS):
        return ObjectFiles(address)
    import obstore

    bucket, root = bucket_store(address)
    with told_failures(address.text):
        below = obstore.list_with_delimiter(bucket, f"{root}/" if root else None)["common_prefixes"]
        folders = {prefix.rstrip("/").rpartition("/")[2] for prefix in below}
        if "_delta_log" in folders:
            return DeltaSource(address)
        if "metadata" in folders:
            prefix = f"{root}/metadata/" if root else "metadata/"
            names = [each["path"].rpartition("/")[2] for page in obstore.list(bucket, prefix) for each in page]
            if newest := newest_metadata(names):
                return IcebergSource(address, f"{address.text}/metadata/{newest}")
    return ObjectFiles(address)


def newest_metadata(names: Sequence[str]) -> str | None:
    """The name of the newest metadata file of an Iceberg table, which is the one with the highest number; None if there is none."""
    numbered = []
    for name in names:
        with suppress(ValueError):
            if found := METADATA.fullmatch(name):
                numbered.append((int(found[1]), name))
    return max(numbered)[1] if numbered else None
