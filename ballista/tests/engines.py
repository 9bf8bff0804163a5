"""Compares Parquet files that COPY wrote with the pages of the server, read by plain requests. Run by tests/it/program.rs
with the server's URL and the folder of the files."""

import json
import sys
import urllib.request
from datetime import datetime

import duckdb
import pyarrow.parquet

url, folder = sys.argv[1:]

# Of each table: the path of a page, the list in it, the id, and the time.
SOURCES = {
    "arklow": (
        "/v1/orgs/42/actions/records?include_state=true&include_definition=true&take={limit}&skip={offset}",
        lambda page: page["data"]["items"],
        "id",
        lambda it: it["state"]["updated_at"],
    ),
    "integration": (
        "/integration-action-logs?limit={limit}&offset={offset}",
        lambda page: page["data"],
        "_id",
        lambda it: it["createdAt"],
    ),
    "unleash": (
        "/api/admin/projects/default/actions/7/events?limit={limit}&offset={offset}",
        lambda page: page["actionSetEvents"],
        "id",
        lambda it: it["createdAt"],
    ),
}
HEADERS = {"x-arklow-auth": "any", "Authorization": "any"}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def pages(path, items):
    """The records of the server, which is at rest: offsets don't shift."""
    records = []
    while True:
        request = urllib.request.Request(url + path.format(limit=50, offset=len(records)), headers=HEADERS)
        page = items(json.load(opener.open(request)))
        if not page:
            return records
        records += page


def rows_of(path):
    """The rows of a file as (key, time, raw JSON), by each engine."""
    yield "duckdb", duckdb.sql(f"select key, timestamp, raw from '{path}'").fetchall()
    table = pyarrow.parquet.read_table(path, columns=["key", "timestamp", "raw"])
    yield "pyarrow", [tuple(row.values()) for row in table.to_pylist()]


for log, (path, items, key, time) in SOURCES.items():
    records = pages(path, items)
    expected = {str(it[key]): (datetime.fromisoformat(time(it).replace("Z", "+00:00")), it) for it in records}
    assert len(expected) == len(records) > 0
    for engine, rows in rows_of(f"{folder}/{log}.parquet"):
        assert len(rows) == len(records), (log, engine, len(rows), len(records))
        assert {row[0]: (row[1], json.loads(row[2])) for row in rows} == expected, (log, engine)
        print(f"{log}, {engine}: {len(rows)} rows are the server's")
