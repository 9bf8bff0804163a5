//! Parts of the docs that tests write: the tables whose numbers are measured.
//!
//! A test renders a table and calls [`table`] or [`hold`]. Both compare it with the file, or write it with
//! `UPDATE_DOCS=1 cargo test --test it`.

use std::fs;
use std::path::Path;

/// The file must have this content.
pub(crate) fn hold(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected).unwrap();
    } else {
        let is_so = fs::read_to_string(&path).unwrap() == expected;
        assert!(
            is_so,
            "{file} isn't what the tests measure: UPDATE_DOCS=1 cargo test --test it, and look at the change"
        );
    }
}

pub(crate) fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Each of the files must have this table between its lines `<!-- NAME: written by tests/it/.. -->` and
/// `<!-- end of NAME -->`.
pub(crate) fn table(files: &[&str], name: &str, table: &str) {
    for file in files {
        let text = text(file);
        let (begin, end) = (format!("<!-- {name}: written by tests/it/"), format!("\n<!-- end of {name} -->"));
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{file} has no line {begin}"));
        let (by, rest) = rest.split_once(" -->\n\n").unwrap();
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(by).exists(), "{file}: {by} is gone");
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{file} has no line {end}"));
        hold(file, &format!("{before}{begin}{by} -->\n\n{table}{end}{after}"));
    }
}
