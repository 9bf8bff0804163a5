//! `actionlog report`: what is drawn is what is counted, whatever the records hold.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::Bench;

/// The sums of `data-count` by outcome, inside of the chart over time.
fn drawn(page: &str) -> BTreeMap<String, u64> {
    let chart = page.split("<svg class=\"time\"").nth(1).unwrap().split("</svg>").next().unwrap();
    let mut sums = BTreeMap::new();
    for rect in chart.split("<rect ").filter(|it| it.contains("data-count")) {
        let value =
            |name: &str| rect.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
        *sums.entry(value("class")).or_default() += value("data-count").parse::<u64>().unwrap();
    }
    sums
}

fn cards(page: &str) -> BTreeMap<String, u64> {
    let cards = page.split("data-card=\"").skip(1).map(|it| {
        let (name, rest) = it.split_once('"').unwrap();
        let count = rest.split("<b>").nth(1).unwrap().split('<').next().unwrap();
        (name.to_owned(), count.parse().unwrap())
    });
    cards.filter(|it| it.1 > 0).collect()
}

#[test]
fn what_is_drawn_is_what_is_counted_in_every_format() {
    let bench = Bench::new(700);
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    bench.run("export arklow --to logs.ndjson --verify").ends(0);
    for row in bench.lines("logs.ndjson") {
        *expected.entry(row["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let mut pages = Vec::new();
    for ending in ["ndjson", "csv", "sqlite", "parquet", "days.parquet"] {
        let name = format!("logs.{ending}");
        let partition = if ending == "days.parquet" { " --partition day" } else { "" };
        if ending != "ndjson" {
            bench.run(&format!("export arklow --to {name} --verify{partition}")).ends(0);
        }
        bench.run(&format!("report {name} --html {name}.html")).ends(0);
        let page = std::fs::read_to_string(bench.path(&format!("{name}.html"))).unwrap();
        assert_eq!(drawn(&page), expected, "{ending}");
        let mut counted = cards(&page);
        assert_eq!(counted.remove("records"), Some(700));
        assert_eq!(counted, expected, "{ending}");
        pages.push(page.split("<h2>Manifest").next().unwrap().replace(&name, "FILE"));
    }
    assert!(pages.windows(2).all(|it| it[0] == it[1]), "all formats make the same page");
    let tables = bench.run("report logs.csv").ends(0).out;
    assert!(tables.contains("700 records\ncomplete: two scans in a row agree"), "{tables}");
}

#[test]
fn a_page_follows_nothing_of_a_record_and_asks_for_nothing() {
    let bench = Bench::new(0);
    let attack = "</td><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\"'&\u{202e}\x1b";
    bench.fake.integration().add_raw(
        json!({
            "_id": "a", "integrationId": attack, "actionType": attack, "entityType": attack, "entityId": attack,
            "status": "failed", "errorMessage": attack, "createdAt": "2026-03-01T00:00:00Z", "executionTime": 5,
        })
        .to_string(),
    );
    bench.run("export integration --to logs.sqlite --verify").ends(0);
    bench.run("report logs.sqlite --html page.html").ends(0);
    let page = std::fs::read_to_string(bench.path("page.html")).unwrap();
    assert!(page.contains("&lt;script&gt;"), "{page}");
    for forbidden in ["<script", "<img", "<link", "<iframe", "url(", "@import", "\x1b"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    // No attribute but the SVG's own names an address.
    assert!(!page.contains("src=\"") && !page.contains("href=\""));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_report_says_what_does_not_fit_the_manifest_and_replaces_nothing_unasked() {
    let bench = Bench::new(50);
    bench.run("export integration --to logs.ndjson").ends(0);
    bench.run("report logs.ndjson --html page.html").ends(0);
    let ran = bench.run("report logs.ndjson --html page.html").ends(1);
    assert!(ran.err.contains("page.html is there already: --force"), "{}", ran.err);

    let text = std::fs::read_to_string(bench.path("logs.ndjson")).unwrap();
    let cut: String = text.split_inclusive('\n').take(49).collect();
    std::fs::write(bench.path("logs.ndjson"), cut).unwrap();
    let ran = bench.run("report logs.ndjson --html page.html --force").ends(3);
    assert!(
        ran.err.contains("its hash differs") && ran.err.contains("counts 50 records, and 49 were read"),
        "{}",
        ran.err
    );
    assert!(std::fs::read_to_string(bench.path("page.html")).unwrap().contains("its hash differs"));

    std::fs::write(bench.path("other.csv"), "a,b\n1,2\n").unwrap();
    for (file, message) in [
        ("other.csv", "its header isn't that of an export"),
        ("none.ndjson", "can't read none.ndjson"),
        ("page.html", "its ending names no format"),
    ] {
        let ran = bench.run(&format!("report {file}"));
        assert!(ran.code != Some(0) && ran.err.contains(message), "{ran:?}");
    }
    std::fs::write(bench.path("odd.ndjson"), "{\"a\":1}\n").unwrap();
    let ran = bench.run("report odd.ndjson").ends(1);
    assert!(ran.err.contains("line 1 isn't a record of an export"), "{}", ran.err);
}

#[test]
fn a_journal_counts_each_record_once_as_it_is_now() {
    let bench = Bench::new(80);
    bench.run("follow integration --to journal.ndjson --once").ends(0);
    let log = bench.fake.integration().log();
    log.remove(3);
    let text = log.raw_records()[0].replacen('{', r#"{"more":1,"#, 1);
    log.replace(0, text);
    let mut run =
        crate::support::Running::start(bench.tool("follow integration --to journal.ndjson --poll 10ms --sweep 20ms"));
    crate::support::wait_until("the changes are seen", || {
        std::fs::read_to_string(bench.path("journal.ndjson")).unwrap().contains("\"removed\"")
    });
    run.signal("TERM");
    run.end();
    let ran = bench.run("report journal.ndjson").ends(3);
    assert!(ran.out.starts_with("journal.ndjson: 79 records\nno manifest"), "{}", ran.out);
}

#[test]
fn a_hundred_thousand_records_are_a_page_below_two_megabytes() {
    let bench = Bench::new(0);
    let mut file = String::new();
    for index in 0..100_000_u64 {
        let row = json!({
            "log": "integration", "key": index.to_string(), "outcome": if index % 3 == 0 { "failed" } else { "succeeded" },
            "timestamp": format!("20{:02}-{:02}-{:02}T00:00:00Z", index % 30, index % 12 + 1, index % 28 + 1),
            "action": format!("action-{}-{}", index % 5_000, "x".repeat(200)), "target_kind": "product",
            "target_id": index.to_string(), "error": format!("error {index} {}", "y".repeat(500)),
            "duration_ms": index as f64,
        });
        file.push_str(&format!("{row}\n"));
    }
    std::fs::write(bench.path("logs.ndjson"), file).unwrap();
    bench.run("report logs.ndjson --html page.html").ends(3);
    let page = std::fs::read_to_string(bench.path("page.html")).unwrap();
    assert!(page.len() < 500_000, "{}", page.len());
    assert_eq!(drawn(&page).values().sum::<u64>(), 100_000);
}
