//! The tables of the chapter on strictness.

use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::unleash::ActionSetEvent;

use crate::docs;
use crate::strictness::{Record, all_fields, general, read, with, without, written};

/// The values that each field is tried with, by column of the table.
const PROBES: [(&str, &[&str]); 10] = [
    ("absent", &[]),
    ("`null`", &["null"]),
    ("`\"\"`", &["\"\""]),
    ("text", &["\"x\""]),
    ("number", &["5", "-1", "1.5"]),
    ("bool", &["true", "false"]),
    ("list", &["[]", "[\"x\"]", "[7]"]),
    ("object", &["{}", "{\"a\": 1}"]),
    ("other times", &["\"2023-11-07 05:31:56+00\"", "1699335116000", "{\"$date\": \"2023-11-07T05:31:56Z\"}"]),
    ("other ids", &["4711", "{\"$oid\": \"65f\"}", "{\"_id\": \"65f\"}"]),
];

/// The cell of a field for these values.
fn cell<R: Record>(pointer: &str, probes: &[&str]) -> String {
    let sample = R::sample();
    let texts = match probes {
        [] => Vec::from([without(&sample, pointer).to_string()]),
        probes => probes.iter().map(|it| with(&sample, pointer, it)).collect(),
    };
    let mut found: Vec<&str> = Vec::new();
    for text in texts {
        let sign = match read::<R>(&text) {
            Err(_) => "✗",
            Ok(record) if !record.omitted().is_empty() => "–",
            Ok(record) => match written(&record).pointer(pointer) {
                None => "○",
                Some(_) if probes.is_empty() || probes == ["null"] => "○",
                Some(_) => "✓",
            },
        };
        if !found.contains(&sign) {
            found.push(sign);
        }
    }
    found.join(" ")
}

fn table<R: Record>() -> String {
    let mut out = format!("\n# {}\n\n| field |", R::API);
    PROBES.iter().for_each(|(name, _)| out.push_str(&format!(" {name} |")));
    out.push_str(&format!("\n|---|{}\n", ":-:|".repeat(PROBES.len())));
    let mut seen = Vec::new();
    for pointer in all_fields::<R>() {
        let name = general(&pointer);
        if seen.contains(&name) {
            continue;
        }
        out.push_str(&format!("| `{name}` |"));
        PROBES.iter().for_each(|(_, probes)| out.push_str(&format!(" {} |", cell::<R>(&pointer, probes))));
        out.push('\n');
        seen.push(name);
    }
    out
}

#[test]
fn the_docs_list_the_strictness_of_each_field() {
    const BEGIN: &str = "<!-- All below is written by the tests: UPDATE_DOCS=1 cargo test --test it strictness -->\n";
    let before = docs::text("src/strictness.md");
    let (text, _) = before.split_once(BEGIN).expect("the line that the tables are written behind");
    let now = format!("{text}{BEGIN}{}{}{}", table::<ActionRecord>(), table::<ActionLog>(), table::<ActionSetEvent>());
    docs::hold("src/strictness.md", &now);
}
