"""Parquet through pyarrow's own S3 client: HOST:PORT ACCESS SECRET BUCKET. Exits 0 if right."""

import sys

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileType, S3FileSystem

ROWS = 2_000_000


def one_file(files: S3FileSystem, bucket: str, table: pa.Table) -> None:
    """Write a file that goes up in parts; read all of it, then one column."""
    pq.write_table(table, f"{bucket}/one.parquet", filesystem=files, compression="none")
    assert pq.read_table(f"{bucket}/one.parquet", filesystem=files).equals(table)
    column = pq.read_table(f"{bucket}/one.parquet", filesystem=files, columns=["half"])
    assert column.column("half").equals(table.column("half"))


def many_files(files: S3FileSystem, bucket: str, table: pa.Table) -> None:
    """Write a partitioned dataset and read one partition."""
    parts = ds.partitioning(pa.schema([("kind", pa.int64())]), flavor="hive")
    ds.write_dataset(
        table, f"{bucket}/many", filesystem=files, format="parquet", partitioning=parts
    )
    found = ds.dataset(f"{bucket}/many", filesystem=files, partitioning=parts)
    assert found.to_table(filter=ds.field("kind") == 3).num_rows == ROWS // 5


def housekeeping(files: S3FileSystem, bucket: str) -> None:
    listed = files.get_file_info(FileSelector(bucket, recursive=True))
    assert sum(info.type == FileType.File for info in listed) == 6, listed
    files.copy_file(f"{bucket}/one.parquet", f"{bucket}/two.parquet")
    files.move(f"{bucket}/two.parquet", f"{bucket}/three.parquet")
    files.delete_dir_contents(bucket)
    assert files.get_file_info(FileSelector(bucket)) == []
    files.delete_dir(bucket)


def main(address: str, access: str, secret: str, bucket: str) -> None:
    files = S3FileSystem(
        access_key=access,
        secret_key=secret,
        endpoint_override=address,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )
    files.create_dir(bucket)
    numbers = range(ROWS)
    table = pa.table(
        {
            "number": pa.array(numbers, pa.int64()),
            "half": pa.array([number / 2 for number in numbers], pa.float64()),
            "kind": pa.array([number % 5 for number in numbers], pa.int64()),
        }
    )
    one_file(files, bucket, table)
    many_files(files, bucket, table)
    housekeeping(files, bucket)


if __name__ == "__main__":
    main(*sys.argv[1:])
