"""Clients that were generated from the OpenAPI documents, against the fake server. See README.md beside this file.

python client.py URL FOLDER, where FOLDER holds the generated packages `arklow`, `integration` and `unleash`.
"""

import json
import pathlib
import sys

import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker

url, folder = sys.argv[1], sys.argv[2]
sys.path.insert(0, folder)

import arklow
import integration
import unleash
from arklow.api.default import list_action_records
from integration.api.default import (
    create_action_log,
    delete_action_log,
    get_action_log,
    list_action_logs,
    update_action_log,
)
from integration.models import ActionLogInput, ActionLogInputActionType, ActionLogInputStatus
from unleash.api.default import get_actions_events

DOCUMENTS = pathlib.Path(__file__).parent / "openapi"
problems = []


def document(name):
    return yaml.safe_load((DOCUMENTS / f"{name}.yaml").read_text())


def check(name, path, method, response):
    """The response must be one that the document has: its status, its JSON, and what the generated client made of it."""
    spec = document(name)
    responses = spec["paths"][path][method]["responses"]
    where = f"{method.upper()} {path} -> {int(response.status_code)}"
    documented = responses.get(str(int(response.status_code)))
    if documented is None:
        sys.exit(f"{where}: the document has no such status; {response.content[:300]}")
    schema = documented["content"]["application/json"]["schema"]
    validator = OAS30Validator({**schema, "components": spec["components"]}, format_checker=oas30_format_checker)
    for error in list(validator.iter_errors(json.loads(response.content)))[:5]:
        problems.append(f"{where}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    if response.parsed is None:
        sys.exit(f"{where}: the client made nothing of it; {problems}")
    return response.parsed


def pages(name, path, step, fetch):
    """All records, page by page. The log is at rest, so a loop by offset gets them all."""
    records, offset = [], 0
    while True:
        page = fetch(check(name, path, "get", step(offset)))
        records += page
        if not page:
            return records
        offset += len(page)


# Arklow.
client = arklow.AuthenticatedClient(base_url=url, token="any", prefix="", auth_header_name="x-arklow-auth")
records = pages(
    "arklow",
    "/v1/orgs/{org_id}/actions/records",
    lambda skip: list_action_records.sync_detailed(
        "4711", client=client, take=50, skip=skip, include_state=True, include_definition=True
    ),
    lambda page: page.data.items,
)
count = list_action_records.sync_detailed("4711", client=client, count_only=True)
count = check("arklow", "/v1/orgs/{org_id}/actions/records", "get", count).data.count
print(f"arklow       {len({it.id for it in records})} records, count {count}, the newest is {records[0].state.status}")

# Integration action logs. The page has no authorization scheme, so the header is set by hand.
client = integration.Client(base_url=url, headers={"Authorization": "Bearer any"})
logs = pages(
    "integration",
    "/integration-action-logs",
    lambda offset: list_action_logs.sync_detailed(client=client, limit=100, offset=offset),
    lambda page: page.data,
)
one = "/integration-action-logs/{id}"
draft = ActionLogInput("shop", ActionLogInputActionType.SYNC, "product", ActionLogInputStatus.PENDING)
created = create_action_log.sync_detailed(client=client, body=draft)
created = check("integration", "/integration-action-logs", "post", created).data
draft.status = ActionLogInputStatus.SUCCESS
updated = update_action_log.sync_detailed(created.field_id, client=client, body=draft)
check("integration", one, "put", updated)
read = check("integration", one, "get", get_action_log.sync_detailed(created.field_id, client=client)).data
check("integration", one, "delete", delete_action_log.sync_detailed(created.field_id, client=client))
print(f"integration  {len({it.field_id for it in logs})} records, {created.field_id} went from {created.status} to {read.status}")

# Unleash.
client = unleash.AuthenticatedClient(base_url=url, token="user:any", prefix="")
events = pages(
    "unleash",
    "/api/admin/projects/{projectId}/actions/{id}/events",
    lambda offset: get_actions_events.sync_detailed("default", "1", client=client, limit="50", offset=str(offset)),
    lambda page: page.action_set_events,
)
print(f"unleash      {len({it.id for it in events})} records, the newest is {events[0].state}")

if problems:
    print(f"\n{len(problems)} responses aren't what the documents say:", *problems, sep="\n  ")
    sys.exit(1)
print("each response is what its document says")
