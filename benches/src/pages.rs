//! Full pages, the same in each run: 50 Arklow records of some 4 KB, 100 integration logs of some 2 KB and 50 Unleash
//! events of some 1.7 KB.

use bytes::Bytes;
use serde_json::{Value, json};

/// 50 records with state and definition.
pub fn arklow() -> Bytes {
    written(&json!({"data": {"items": records(), "count": 2_741}, "errors": null}))
}

/// 100 logs.
pub fn integration() -> Bytes {
    written(&json!({"success": true, "data": logs(), "total": 12_406}))
}

/// 50 events.
pub fn unleash() -> Bytes {
    written(&json!({ "actionSetEvents": events() }))
}

/// What a page of Arklow's holds.
pub fn records() -> Vec<Value> {
    let mut some = Some::new(1);
    (0..50).map(|index| record(index, &mut some)).collect()
}

/// What a page of integration logs holds.
pub fn logs() -> Vec<Value> {
    let mut some = Some::new(2);
    (0..100).map(|index| log(index, &mut some)).collect()
}

/// What a page of Unleash's holds.
pub fn events() -> Vec<Value> {
    let mut some = Some::new(3);
    (0..50).map(|index| event(index, &mut some)).collect()
}

fn written(page: &Value) -> Bytes {
    page.to_string().into()
}

fn record(index: u64, some: &mut Some) -> Value {
    let (id, org, definition) = (some.digits(), "481516234200000", format!("90210{:05}", index % 7));
    let items: Vec<_> = (0..3 + index % 4)
        .map(|place| {
            json!({
                "line": place,
                "sku": some.hex(8),
                "title": some.words(4),
                "quantity": 1 + some.below(5),
                "price": {"amount": some.below(99_999) as f64 / 100.0, "currency": "EUR"},
            })
        })
        .collect();
    let failed = index % 9 == 4;
    json!({
        "id": id,
        "org_id": org,
        "action_definition_id": definition,
        "input": {
            "order": {
                "id": some.hex(24),
                "customer": {"id": some.digits(), "email": format!("{}@example.com", some.word()), "locale": "de-DE"},
                "items": items,
                "note": some.words(9),
                "address": {"street": some.words(2), "zip": some.below(99_999).to_string(), "city": some.word()},
            },
            "reason": some.words(5),
            "approval": {"by": format!("{}@example.com", some.word()), "at": some.time(), "level": some.below(4)},
            "dry_run": false,
        },
        "timeout": 300,
        "tags": {"team": some.word(), "environment": "production", "release": some.hex(10)},
        "state": {
            "status": if failed { "failed" } else { "succeeded" },
            "attempt": some.below(4),
            "updated_at": some.time(),
            "available_at": some.time(),
            "timeout_at": some.time(),
            "started_at": some.time(),
            "completed_at": some.time(),
            "error_message": if failed { json!(some.words(12)) } else { Value::Null },
        },
        "definition": {
            "id": definition,
            "org_id": org,
            "variant": some.word(),
            "version": 1 + index % 5,
            "alias": [some.word(), some.word()],
            "schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "required": ["order", "reason"],
                "properties": {
                    "order": {
                        "type": "object",
                        "description": some.words(10),
                        "properties": {
                            "id": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
                            "items": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "properties": {
                                        "sku": {"type": "string"},
                                        "quantity": {"type": "integer", "minimum": 1},
                                    },
                                },
                            },
                        },
                    },
                    "reason": {"type": "string", "maxLength": 500, "description": some.words(8)},
                    "approval": {
                        "type": "object",
                        "required": ["by", "at"],
                        "properties": {
                            "by": {"type": "string", "format": "email", "description": some.words(6)},
                            "at": {"type": "string", "format": "date-time"},
                            "level": {"type": "integer", "minimum": 0, "maximum": 3},
                        },
                    },
                    "dry_run": {"type": "boolean", "default": false},
                },
            },
            "deleted_at": null,
            "destinations": [{
                "id": some.digits(),
                "action_definition_id": definition,
                "destination_id": "70001",
                "org_id": org,
                "is_default": true,
                "destination": {
                    "id": "70001",
                    "org_id": org,
                    "updated_at": some.time(),
                    "label": some.words(3),
                    "type": "webhook",
                    "config": {
                        "url": format!("https://hooks.example.com/{}", some.hex(16)),
                        "headers": {"x-source": some.word(), "x-version": "2"},
                        "signaling": {"enabled": true, "default": "ack"},
                        "response_time_sla_ms": 2500,
                    },
                    "deleted_at": null,
                    "tags": {"region": "eu-west-1"},
                    "credential_id": some.digits(),
                },
            }],
        },
        "events": (0..2).map(|attempt| json!({
            "id": some.digits(),
            "action_record_id": id,
            "org_id": org,
            "kind": "delivery",
            "status": if attempt == 0 { "retrying" } else { "succeeded" },
            "attempt": attempt,
            "available_at": some.time(),
            "timeout_at": some.time(),
            "message": some.words(6),
            "data": {
                "http": {"status": 200 + attempt * 3, "duration_ms": some.below(900)},
                "headers": {"content-type": "application/json", "x-request-id": some.hex(32)},
            },
        })).collect::<Vec<_>>(),
    })
}

fn log(index: u64, some: &mut Some) -> Value {
    let failed = index % 7 == 3;
    let kinds = ["create", "update", "delete", "sync", "webhook"];
    json!({
        "_id": some.hex(24),
        "integrationId": some.hex(24),
        "actionType": kinds[some.below(5) as usize],
        "entityType": "product",
        "entityId": some.hex(24),
        "status": if failed { "failed" } else { "success" },
        "payload": {
            "product": {
                "title": some.words(5),
                "description": some.words(45),
                "images": (0..2).map(|_| json!({
                    "url": format!("https://cdn.example.com/{}.jpg", some.hex(24)),
                    "alt": some.words(3),
                    "width": 1200,
                })).collect::<Vec<_>>(),
                "vendor": some.word(),
                "price": some.below(99_999) as f64 / 100.0,
                "stock": some.below(400),
                "published": true,
                "variants": (0..3).map(|place| json!({
                    "id": some.below(9_000_000_000),
                    "sku": some.hex(10),
                    "options": {"size": (["S", "M", "L"][place]), "color": some.word()},
                    "weight": some.below(5_000) as f64 / 1000.0,
                })).collect::<Vec<_>>(),
                "tags": [some.word(), some.word(), some.word()],
            },
            "changed": ["title", "price", "stock"],
        },
        "response": {
            "status": if failed { 422 } else { 200 },
            "headers": {"content-type": "application/json", "x-request-id": some.hex(32), "server": "nginx"},
            "body": {
                "id": some.below(9_000_000_000),
                "handle": format!("{}-{}", some.word(), some.word()),
                "updated": some.time(),
                "warnings": [some.words(7), some.words(6)],
                "links": {"self": format!("https://shop.example.com/products/{}", some.hex(12)), "next": null},
            },
        },
        "errorMessage": if failed { json!(some.words(10)) } else { Value::Null },
        "retryCount": some.below(3),
        "executionTime": some.below(2_000_000) as f64 / 1000.0,
        "metadata": {
            "worker": {"host": some.word(), "pid": some.below(30_000), "version": "4.12.1"},
            "trace": {"id": some.hex(32), "span": some.hex(16), "sampled": true},
            "queue": {"name": "outbound", "waited": some.below(3_000), "attempt": 1},
            "source": some.words(3),
        },
        "createdAt": some.time(),
        "updatedAt": some.time(),
    })
}

fn event(index: u64, some: &mut Some) -> Value {
    let (signal, set) = (880_000 + index * 3, 7);
    let outcomes = if index % 6 == 2 { ["success", "failed"] } else { ["success", "success"] };
    json!({
        "id": 90_000 - index,
        "actionSetId": set,
        "signalId": signal,
        "createdAt": some.time(),
        "state": outcomes[1],
        "signal": {
            "id": signal,
            "payload": {
                "alertname": some.words(2),
                "severity": "critical",
                "service": some.word(),
                "values": {"errorRate": some.below(1000) as f64 / 1000.0, "threshold": 0.05, "samples": some.below(9_000)},
                "labels": {"region": "eu-west-1", "cluster": some.word(), "pod": some.hex(10)},
                "runbook": format!("https://runbooks.example.com/{}", some.hex(16)),
                "summary": some.words(12),
            },
            "createdAt": some.time(),
            "source": "signal-endpoint",
            "sourceId": 5,
            "createdBySourceTokenId": 12,
        },
        "actionSet": {
            "id": set,
            "project": "default",
            "createdAt": some.time(),
            "createdByUserId": 3,
            "name": some.words(4),
            "description": some.words(8),
            "actorId": 31,
            "enabled": true,
            "actions": outcomes.into_iter().enumerate().map(|(place, outcome)| json!({
                "id": 100 + place,
                "createdAt": some.time(),
                "createdByUserId": 3,
                "action": "TOGGLE_FEATURE_OFF",
                "sortOrder": place + 1,
                "executionParams": {
                    "project": "default",
                    "environment": "production",
                    "featureName": format!("{}-{}", some.word(), some.word()),
                },
                "state": outcome,
                "details": if outcome == "failed" { json!(some.words(9)) } else { Value::Null },
            })).collect::<Vec<_>>(),
            "match": {
                "source": "signal-endpoint",
                "sourceId": 5,
                "payload": {
                    "severity": {"inverted": false, "operator": "IN", "caseInsensitive": false, "values": ["critical", "page"]},
                    "service": {"inverted": false, "operator": "STR_CONTAINS", "caseInsensitive": true, "values": [some.word()]},
                },
            },
        },
    })
}

/// Numbers and words that look like any, from a linear congruential generator.
struct Some(u64);

impl Some {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn digits(&mut self) -> String {
        format!("{}{:08}", 1 + self.below(9), self.below(100_000_000))
    }

    fn hex(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from_digit(self.below(16) as u32, 16).unwrap()).collect()
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 24] = [
            "checkout",
            "payment",
            "ledger",
            "warehouse",
            "invoice",
            "customer",
            "refund",
            "catalogue",
            "price",
            "stock",
            "delivery",
            "carrier",
            "München",
            "café",
            "queue",
            "worker",
            "gateway",
            "limit",
            "exceeded",
            "upstream",
            "timeout",
            "retry",
            "order",
            "blue",
        ];
        WORDS[self.below(24) as usize]
    }

    /// A sentence; now and then with something that JSON escapes.
    fn words(&mut self, count: usize) -> String {
        let mut out = String::new();
        for place in 0..count {
            if place > 0 {
                out.push(if self.below(40) == 0 { '\n' } else { ' ' });
            }
            match self.below(30) {
                0 => out.push_str("\"quoted\""),
                _ => out.push_str(self.word()),
            }
        }
        out
    }

    fn time(&mut self) -> String {
        let [month, day, hour, minute, second, milli] = [12, 28, 24, 60, 60, 1000].map(|end| self.below(end));
        format!("2026-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", month + 1, day + 1)
    }
}
