"""Compares Parquet files that COPY wrote with the pages of the server, read by plain requests. Run by tests/it/program.rs
with the server's URL and the folder of the files."""

import json
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).parents[2] / ".ci"))
from pages import SOURCES, records

url, folder = sys.argv[1:]


def rows_of(path):
    """The rows of a file as (key, time, raw JSON), by each engine."""
    yield "duckdb", duckdb.sql(f"select key, timestamp, raw from '{path}'").fetchall()
    table = pyarrow.parquet.read_table(path, columns=["key", "timestamp", "raw"])
    yield "pyarrow", [tuple(row.values()) for row in table.to_pylist()]


for log in SOURCES:
    found = records(url, log, org=42, action_set=7)
    expected = {key: (datetime.fromisoformat(time.replace("Z", "+00:00")), it) for key, time, it in found}
    assert len(expected) == len(found) > 0
    for engine, rows in rows_of(f"{folder}/{log}.parquet"):
        assert len(rows) == len(found), (log, engine, len(rows), len(found))
        assert {row[0]: (row[1], json.loads(row[2])) for row in rows} == expected, (log, engine)
        print(f"{log}, {engine}: {len(rows)} rows are the server's")
