"""Compares exports with the pages of the server, read by plain requests. Run by .ci/engines, in the exports' folder."""

import hashlib
import json
import sqlite3
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).parents[2] / ".ci"))
from pages import SOURCES, records

env = dict(line.strip().split("=", 1) for line in open("env"))
env = {name: value.strip("'") for name, value in env.items()}
url = env["UNLEASH_URL"]


def time(text):
    return datetime.fromisoformat(str(text).replace("Z", "+00:00"))


def rows_of(log):
    """The rows of each export as (key, time, raw JSON), by each engine."""
    columns = 'key, timestamp, raw'
    yield "duckdb, ndjson", duckdb.sql(f"select {columns} from read_json('{log}.ndjson', columns={{key: 'VARCHAR', timestamp: 'VARCHAR', raw: 'JSON'}}, maximum_object_size=100000000)").fetchall()
    yield "duckdb, csv", duckdb.sql(f"select {columns} from read_csv('{log}.csv', all_varchar=true, header=true)").fetchall()
    duckdb.sql("set timezone='UTC'")
    yield "duckdb, parquet", duckdb.sql(f"select {columns} from '{log}.parquet'").fetchall()
    yield "duckdb, days", duckdb.sql(f"select {columns} from read_parquet('{log}.days.parquet/*/*.parquet', hive_partitioning=true) where day is not null").fetchall()
    table = pyarrow.parquet.read_table(f"{log}.parquet")
    yield "pyarrow, parquet", list(zip(*(table.column(name).to_pylist() for name in ("key", "timestamp", "raw"))))
    yield "sqlite3", sqlite3.connect(f"{log}.sqlite").execute(f"select {columns} from records").fetchall()


for log in SOURCES:
    source = {key: (time(when), it) for key, when, it in records(url, log, org=4711, action_set=1)}
    for engine, rows in rows_of(log):
        assert len(rows) == len(source), (log, engine, len(rows), len(source))
        read = {row[0]: (time(row[1]), json.loads(row[2])) for row in rows}
        assert read == source, (log, engine)
        print(f"{log}: {len(rows)} records read by {engine} equal the server's")
    for name in ("ndjson", "csv", "parquet", "sqlite", "days.parquet"):
        manifest = json.load(open(f"{log}.{name}.manifest.json"))
        assert manifest["verdict"] == "complete" and manifest["counts"]["records"] == len(source), manifest
        for file in manifest["files"]:
            assert hashlib.sha256(open(file["path"], "rb").read()).hexdigest() == file["sha256"], file
