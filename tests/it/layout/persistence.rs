//! Property tests: one that fails prints its case, and never writes it into the checkout.

use std::fs;

use crate::layout::{files, source};

/// How many property tests of a file keep their failures in files: those that say nothing keep them, too.
fn writers(text: &str) -> usize {
    let code = source::code(text);
    let blocks = code.split("proptest! {").skip(1).filter(|it| {
        // A shared configuration is checked where it is made.
        let config = it.trim_start().strip_prefix("#![proptest_config(");
        !config.is_some_and(|it| it.starts_with("cases(") || it.starts_with("ProptestConfig {"))
    });
    let is_silent = |it: &&str| !it[..it.find("::default()").unwrap_or(it.len())].contains("failure_persistence");
    let configs =
        code.split("Config {").skip(1).filter(|it| it.contains("..ProptestConfig::") || it.contains("..Config::"));
    blocks.count() + configs.filter(is_silent).count()
}

#[test]
fn a_failing_property_test_writes_nothing_into_the_checkout() {
    for path in ["src", "tests", "checks", "cli", "ballista"].into_iter().flat_map(files) {
        let text = fs::read_to_string(&path).unwrap();
        let is_this = path.ends_with("layout/persistence.rs");
        assert!(is_this || writers(&text) == 0, "{}: set `failure_persistence: None`", path.display());
    }
}

#[test]
fn a_property_test_that_keeps_its_failures_is_found() {
    let silent = "proptest! {\n    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]\n}\n";
    let none = silent.replace("cases: 4", "cases: 4, failure_persistence: None");
    let shared = "proptest! {\n    #![proptest_config(cases(9))]\n}\n";
    let plain = "proptest! {\n    #[test]\n    fn a(_ in any::<u8>()) {}\n}\n";
    let runner = "let config = Config { cases, ..Config::default() };\n";
    assert_eq!([silent, &none, shared, plain, runner].map(writers), [1, 0, 0, 1, 1]);
    assert_eq!(writers(&[&none, silent, shared, plain].concat()), 2);
}
