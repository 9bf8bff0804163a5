"""The records of the fake server by its pages, read by plain requests: what exports and copies are compared with."""

import json
import urllib.request

# Of each log: the path of a page, the list in it, the id, and the time.
SOURCES = {
    "arklow": (
        "/v1/orgs/{org}/actions/records?include_state=true&include_definition=true&take={limit}&skip={offset}",
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
        "/api/admin/projects/default/actions/{action_set}/events?limit={limit}&offset={offset}",
        lambda page: page["actionSetEvents"],
        "id",
        lambda it: it["createdAt"],
    ),
}
HEADERS = {"x-arklow-auth": "any", "Authorization": "any"}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def records(url, log, org, action_set):
    """The records of a log as (id, time, record), of a server that is at rest: offsets don't shift."""
    path, items, key, time = SOURCES[log]
    found = []
    while True:
        page = path.format(org=org, action_set=action_set, limit=50, offset=len(found))
        new = items(json.load(opener.open(urllib.request.Request(url + page, headers=HEADERS))))
        if not new:
            return found
        found += [(str(it[key]), time(it), it) for it in new]
