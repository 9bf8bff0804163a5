//! The layout of the source: folders don't depend on each other in circles, files and lines stay short.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file.
const LINES: usize = 500;

/// The most columns of a line.
const COLUMNS: usize = 120;

fn files_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_in(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found.sort();
    found
}

/// The code of a file up to its first test module, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|it| !it.starts_with("#[cfg(test)]"));
    lines.map(|it| it.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The names behind each `crate::` of some code.
fn crate_paths(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::")
        .skip(1)
        .map(|it| it.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

/// Which top-level modules each one uses.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |path: &Path| {
        let first = path.strip_prefix(&root).unwrap().iter().next().unwrap().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    let files: Vec<_> = files("src").into_iter().filter(|it| *it != root.join("lib.rs")).collect();
    let modules: BTreeSet<_> = files.iter().map(|it| module(it)).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files.iter().filter(|it| !it.components().any(|it| it.as_os_str() == "model")) {
        let (this, code) = (module(path), code(path));
        let used = crate_paths(&code).filter(|it| modules.contains(*it) && **it != this).map(str::to_owned);
        uses.entry(this.clone()).or_default().extend(used);
    }
    uses
}

#[test]
fn no_two_modules_at_the_top_use_each_other_by_any_way() {
    let uses = uses();
    for start in uses.keys() {
        let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(module) = next.pop() {
            for used in &uses[module] {
                assert_ne!(used, start, "{start} is used by {module}, which it uses: {uses:#?}");
                if reached.insert(used) {
                    next.push(used);
                }
            }
        }
    }
}

#[test]
fn files_and_lines_are_short() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let long: Vec<_> = ["src", "tests", "benches/src", "examples", "cli/src", "cli/tests"]
        .into_iter()
        .flat_map(files)
        .filter_map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            // The rows of a table in a doc comment can't be broken.
            let is_row = |line: &str| line.trim_start().starts_with("//! |");
            // Neither can raw strings, of which the tests have some.
            let is_code = |line: &str| !path.starts_with(&src) && !line.trim_start().starts_with("//");
            let wide = text.lines().position(|it| it.chars().count() > COLUMNS && !is_row(it) && !is_code(it));
            let lines = text.lines().count();
            (lines > LINES || wide.is_some()).then(|| format!("{}: {lines} lines, wide {wide:?}", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_readme_lists_each_example_and_each_chapter_of_the_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let front = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let guide = fs::read_to_string(root.join("src/guide/mod.rs")).unwrap();
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(folder)).unwrap().map(|it| it.unwrap().path());
        entries.map(|it| it.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    for example in names("examples") {
        assert!(readme.contains(&format!("`{example}`")), "{example} isn't in the README's table");
    }
    let chapters: Vec<_> = names("src/guide").into_iter().filter(|it| it != "mod").collect();
    assert!(chapters.len() >= 10, "{chapters:?}");
    for chapter in chapters {
        assert!(readme.contains(&format!("(src/guide/{chapter}.md)")), "{chapter} isn't in the README");
        assert!(front.contains(&format!("(guide::{chapter})")), "{chapter} isn't on the front page");
        assert!(guide.contains(&format!("[`{chapter}`]")), "{chapter} isn't in the guide's own table");
    }
}

/// The places that a Markdown file links to by a relative path, outside of code.
fn relative_links(text: &str) -> Vec<String> {
    let mut in_code = false;
    let lines = text.lines().filter(|line| {
        in_code ^= line.starts_with("```");
        !in_code
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let targets = text.split("](").skip(1).map(|it| it.split(')').next().unwrap_or_default());
    targets.filter(|it| !it.contains("::") && !it.contains("://")).map(str::to_owned).collect()
}

/// The anchors of a Markdown file's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|it| it.starts_with('#'));
    let kept = |c: char| if c == ' ' { Some('-') } else { (c.is_alphanumeric() || "-_".contains(c)).then_some(c) };
    headings.map(|it| it.trim_start_matches(['#', ' ']).to_lowercase().chars().filter_map(kept).collect()).collect()
}

#[test]
fn relative_links_of_the_markdown_files_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut checked, mut dead) = (0, Vec::new());
    for file in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benches/README.md"]
    {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for link in relative_links(&text) {
            checked += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { root.join(file) } else { root.join(file).parent().unwrap().join(path) };
            let has_anchor = || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|it| it == anchor);
            if !target.exists() || !(anchor.is_empty() || has_anchor()) {
                dead.push(format!("{file}: {link}"));
            }
        }
    }
    assert!(dead.is_empty() && checked > 30, "{dead:#?} of {checked}");
}
