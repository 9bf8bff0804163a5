//! The layout of the source: no circles, and short files, functions and lines. And that of the docs.

mod circles;
mod persistence;
mod source;
mod waits;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file.
const LINES: usize = 500;

/// The most columns of a line.
const COLUMNS: usize = 120;

/// The most lines of a function.
const FUNCTION: usize = 40;

fn files_in(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // A package beside the workspace may have its own build.
            if !path.ends_with("target") {
                files_in(&path, extension, found);
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

fn files_of(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), extension, &mut found);
    found.sort();
    found
}

fn files(folder: &str) -> Vec<PathBuf> {
    files_of(folder, "rs")
}

#[test]
fn files_and_lines_are_short() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let long: Vec<_> = ["src", "tests", "ballista", "benches", "checks", "cli", "examples", "fuzz"]
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
fn functions_are_short() {
    let mut long = Vec::new();
    for path in ["src", "cli/src"].into_iter().flat_map(files) {
        if path.iter().any(|it| it == "model") {
            continue;
        }
        let code = source::without_tests(&source::code(&fs::read_to_string(&path).unwrap()));
        let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display();
        let functions = source::functions(&code).into_iter().map(|it| (it.name, it.text.lines().count()));
        let functions = functions.filter(|it| it.1 > FUNCTION);
        long.extend(functions.map(|(name, lines)| format!("{path}: {name}, {lines} lines")));
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// The numbers of the lines of a Markdown text that are too long and could be broken: no rows of tables, no links, no
/// code.
fn wide_lines(text: &str) -> Vec<usize> {
    let mut in_code = false;
    let wide = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim_start();
        let is_fence = line.starts_with("```");
        in_code ^= is_fence;
        let breaks = !in_code && !is_fence && !line.starts_with('|') && !line.contains("](https://");
        breaks && line.chars().count() > COLUMNS
    });
    wide.map(|(index, _)| index + 1).collect()
}

#[test]
fn the_lines_of_markdown_are_short() {
    let long = "word ".repeat(30);
    assert_eq!(wide_lines(&format!("{long}\n| {long} |\n```\n{long}\n```\n- {long}\n")), [1, 6]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "tests", "ballista", "benches", "checks", "cli", "examples", "fuzz"];
    let mut docs: Vec<_> = folders.iter().flat_map(|it| files_of(it, "md")).collect();
    docs.extend(MARKDOWN.iter().filter(|it| !it.contains('/')).map(|it| root.join(it)));
    assert!(docs.len() > 25, "{docs:?}");
    let wide: Vec<_> = docs
        .iter()
        .map(|path| (path.display(), wide_lines(&fs::read_to_string(path).unwrap())))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    assert!(wide.is_empty(), "{wide:#?}");
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
        assert!(readme.contains(&format!("{DOCS}guide/{chapter}/")), "{chapter} isn't in the README");
        assert!(front.contains(&format!("(guide::{chapter})")), "{chapter} isn't on the front page");
        assert!(guide.contains(&format!("[`{chapter}`]")), "{chapter} isn't in the guide's own table");
    }
}

/// Where the chapters of the docs are once the crate is released, and where its files are.
const DOCS: &str = "https://docs.rs/actionlog/latest/actionlog/";
const FILES: &str = "https://docs.rs/crate/actionlog/latest/source/";

#[test]
fn the_readmes_links_to_the_project_work_wherever_it_is_shown_and_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert_eq!(relative_links(&readme), [""; 0], "a registry shows the README without the repository");
    let text = |path: String| fs::read_to_string(root.join(path)).ok();
    let (mut chapters, mut files) = (0, 0);
    for link in web_links(&readme) {
        let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
        let text = if let Some(chapter) = page.strip_prefix(DOCS) {
            chapters += 1;
            text(format!("src/{}.md", chapter.strip_suffix('/').unwrap_or(chapter)))
        } else if let Some(file) = page.strip_prefix(FILES) {
            files += 1;
            text(file.to_owned())
        } else {
            continue;
        };
        let text = text.unwrap_or_else(|| panic!("there is no {link}"));
        assert!(anchor.is_empty() || anchors(&text).iter().any(|it| it == anchor), "{link}");
    }
    assert!(chapters > 10 && files > 10, "{chapters} and {files}");
}

/// The Markdown files that are read on the web.
const MARKDOWN: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "ballista/README.md",
    "benches/README.md",
    "cli/README.md",
    "examples/fake_server/README.md",
    "fuzz/README.md",
];

/// The hosts that the docs link to. A new one is added here, after a look at the page.
const HOSTS: [&str; 8] = [
    "docs.getunleash.io",
    "docs.rs",
    "github.com",
    "json-schema.org",
    "keepachangelog.com",
    "schema.ocsf.io",
    "semver.org",
    "www.getunleash.io",
];

/// The web addresses that a text links to: in Markdown, or between angle brackets.
fn web_links(text: &str) -> BTreeSet<&str> {
    let starts = ["](https://", "](http://", "<https://", "<http://", "]: https://", "]: http://"];
    let found = starts.iter().flat_map(|start| {
        let skip = start.find("http").unwrap_or_default();
        text.match_indices(start).map(move |(at, _)| &text[at + skip..])
    });
    found.filter_map(|it| it.split([')', '>', ' ', '\n', '"']).next()).collect()
}

#[test]
fn web_links_are_well_formed_and_lead_to_hosts_that_were_looked_at() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut docs: Vec<_> = MARKDOWN.iter().map(|it| root.join(it)).collect();
    docs.extend(files("src"));
    docs.extend(fs::read_dir(root.join("src/guide")).unwrap().map(|it| it.unwrap().path()));
    docs.extend(fs::read_dir(root.join("src")).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_file()));
    let (mut checked, mut wrong) = (0, Vec::new());
    for path in docs {
        let text = fs::read_to_string(&path).unwrap();
        for link in web_links(&text).into_iter().filter(|it| !it.contains("example.com") && !it.contains("localhost")) {
            checked += 1;
            let problem = match url::Url::parse(link) {
                Err(error) => Some(error.to_string()),
                Ok(url) if url.scheme() != "https" => Some("isn't https".to_owned()),
                Ok(url) if !HOSTS.contains(&url.host_str().unwrap_or_default()) => Some("an unknown host".to_owned()),
                // A branch moves on, and with it what was read there.
                Ok(url) if url.path().contains("/blob/") => {
                    let commit = url.path().split("/blob/").nth(1).and_then(|it| it.split('/').next());
                    let is_one = commit.is_some_and(|it| it.len() == 40 && it.bytes().all(|it| it.is_ascii_hexdigit()));
                    (!is_one).then(|| "names no commit".to_owned())
                }
                Ok(_) => None,
            };
            wrong.extend(problem.map(|it| format!("{}: {link}: {it}", path.display())));
        }
    }
    assert!(wrong.is_empty() && checked > 20, "{wrong:#?} of {checked}");
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
    for file in MARKDOWN {
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
    assert!(dead.is_empty() && checked > 10, "{dead:#?} of {checked}");
}

/// The links of a text to a heading of a chapter: the chapter's path, and the heading's anchor.
fn chapter_links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | ':' | '#' | '-');
    let links = text.split("(crate::").skip(1).filter_map(move |it| it.split(|it| !is_part(it)).next());
    links.filter_map(|it| it.split_once('#'))
}

/// rustdoc checks what a link names, and not the heading in it.
#[test]
fn links_to_a_heading_of_a_chapter_lead_to_one() {
    assert_eq!(chapter_links("[a](crate::guide::b#c-d), (crate::e)").collect::<Vec<_>>(), [("guide::b", "c-d")]);
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut checked, mut dead) = (0, Vec::new());
    for file in files("src").into_iter().chain(files_of("src", "md")) {
        for (chapter, anchor) in chapter_links(&fs::read_to_string(&file).unwrap()) {
            let Ok(text) = fs::read_to_string(src.join(chapter.replace("::", "/")).with_extension("md")) else {
                continue;
            };
            checked += 1;
            if !anchors(&text).iter().any(|it| it == anchor) {
                dead.push(format!("{}: {chapter}#{anchor}", file.display()));
            }
        }
    }
    assert!(dead.is_empty() && checked > 10, "{dead:#?} of {checked}");
}
