//! Builds the copy with all mutants in it. Mutants that don't compile are left out.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Failure;
use crate::sites::{self, Mutant, Mutated};

/// What stands in the copy as `crate::mutant`.
const SWITCH: &str = include_str!("mutant.rs.txt");

/// What was built.
pub struct Built {
    /// The mutants that compile.
    pub mutants: Vec<Mutant>,
    /// How many were left out.
    pub dropped: usize,
    /// The test binaries, that of the library first.
    pub binaries: Vec<PathBuf>,
}

/// Rewrites `files` of the checkout `from` in its copy `tree`, and builds that with its tests, until all that is left
/// compiles. `refused` is a file with the mutants that didn't compile so far, a line each.
pub fn build(from: &Path, tree: &Path, files: &[String], only_lib: bool, refused: &Path) -> Result<Built, Failure> {
    let mut texts: BTreeSet<_> = fs::read_to_string(refused).unwrap_or_default().lines().map(str::to_owned).collect();
    // Read once: the checkout may change while this builds.
    let library = fs::read_to_string(from.join("src/lib.rs"))?;
    let read = |file: &String| Ok((file.clone(), fs::read_to_string(from.join(file))?));
    let sources: Vec<_> = files.iter().map(read).collect::<std::io::Result<_>>()?;
    let all = mutate(&sources, &HashSet::new())?.into_iter().flat_map(|it| it.mutants);
    let mut dropped: HashSet<_> = all.filter(|it| texts.contains(&it.text)).map(|it| it.id).collect();
    loop {
        let mutants = write(tree, &library, &sources, &dropped)?;
        let left = mutants.len() - dropped.len();
        println!("building {left} mutants");
        let out = cargo(tree, only_lib)?;
        let messages: Vec<Value> = out.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
        let errors: Vec<_> = messages.iter().filter(|it| it["message"]["level"] == "error").collect();
        if errors.is_empty() {
            let mutants = mutants.into_iter().filter(|it| !dropped.contains(&it.id)).collect();
            return Ok(Built { mutants, dropped: dropped.len(), binaries: binaries(&messages, only_lib)? });
        }
        let before = dropped.len();
        for error in &errors {
            for id in culprits(tree, &error["message"]) {
                // All mutants of a site, except for bodies, each of whose values is marked by itself.
                let is_body = |it: &&Mutant| it.text.contains(" | body -> ");
                let marked = mutants.iter().find(|it| it.id == id);
                dropped.extend(marked.filter(is_body).map(|it| it.id));
                dropped.extend(mutants.iter().filter(|it| it.site == id && !is_body(it)).map(|it| it.id));
            }
        }
        texts.extend(mutants.iter().filter(|it| dropped.contains(&it.id)).map(|it| it.text.clone()));
        fs::write(refused, texts.iter().map(|it| format!("{it}\n")).collect::<String>())?;
        if dropped.len() == before {
            let texts = errors.iter().filter_map(|it| it["message"]["rendered"].as_str());
            return Err(texts.take(5).collect::<Vec<_>>().join("\n").into());
        }
    }
}

/// Returns the files, each a path and its text, with their mutants.
fn mutate(sources: &[(String, String)], dropped: &HashSet<u32>) -> Result<Vec<Mutated>, Failure> {
    let mut first = 1;
    let mut all = Vec::new();
    for (file, source) in sources {
        let made = sites::mutate(file, source, first, dropped).map_err(|it| format!("{file}: {it}"))?;
        first += made.mutants.len() as u32;
        all.push(made);
    }
    Ok(all)
}

fn write(
    tree: &Path,
    library: &str,
    sources: &[(String, String)],
    dropped: &HashSet<u32>,
) -> Result<Vec<Mutant>, Failure> {
    let mut mutants = Vec::new();
    for ((file, _), made) in sources.iter().zip(mutate(sources, dropped)?) {
        mutants.extend(made.mutants);
        put(&tree.join(file), &made.source)?;
    }
    let sites = mutants.len() + 2;
    put(&tree.join("src/lib.rs"), &format!("{library}\nmod mutant;\n"))?;
    put(&tree.join("src/mutant.rs"), &format!("{SWITCH}\nconst SITES: usize = {sites};\n"))?;
    Ok(mutants)
}

/// Writes a file if its content changes, so that cargo builds only what it has to.
pub fn put(path: &Path, text: &str) -> Result<(), Failure> {
    if !fs::read_to_string(path).is_ok_and(|it| it == text) {
        fs::create_dir_all(path.parent().ok_or("a path without a folder")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// Returns the messages of cargo. Whether it failed is in them.
fn cargo(tree: &Path, only_lib: bool) -> Result<String, Failure> {
    let other: &[&str] = if only_lib { &[] } else { &["--test", "it"] };
    let out = Command::new("cargo")
        .args(["test", "--no-run", "--release", "--all-features", "--lib", "--message-format=json"])
        .args(other)
        .args(["--quiet", "--target-dir", "../build"])
        .current_dir(tree)
        // Lints that are errors don't matter here.
        .env("RUSTFLAGS", "--cap-lints allow")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "true")
        .env("CARGO_INCREMENTAL", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    Ok(String::from_utf8(out.stdout)?)
}

fn binaries(messages: &[Value], only_lib: bool) -> Result<Vec<PathBuf>, Failure> {
    let of = |kind: &str| {
        let found = messages.iter().find(|it| it["executable"].is_string() && it["target"]["kind"][0] == kind);
        found.and_then(|it| it["executable"].as_str()).map(PathBuf::from).ok_or(format!("no binary of {kind}"))
    };
    let kinds: &[_] = if only_lib { &["lib"] } else { &["lib", "test"] };
    Ok(kinds.iter().map(|it| of(it)).collect::<Result<_, _>>()?)
}

/// Returns the sites that an error of the compiler points to: the innermost around each of its places, those of the
/// error itself if it has any.
fn culprits(tree: &Path, message: &Value) -> Vec<u32> {
    let spans = message["spans"].as_array().into_iter().flatten();
    let notes = message["children"].as_array().into_iter().flatten().flat_map(|it| it["spans"].as_array()).flatten();
    let (first, other): (Vec<_>, Vec<_>) = spans.partition(|it| it["is_primary"] == true);
    for all in [first, other, notes.collect()] {
        let found = all.into_iter().filter_map(|span| {
            let text = fs::read_to_string(tree.join(span["file_name"].as_str()?)).ok()?;
            let (begin, end) = (span["byte_start"].as_u64()? as usize, span["byte_end"].as_u64()? as usize);
            around(&text, begin, end)
        });
        let found = found.collect::<Vec<_>>();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// The number of the innermost mark around a range.
fn around(text: &str, begin: usize, end: usize) -> Option<u32> {
    let mut open: Vec<(u32, usize)> = Vec::new();
    let mut found: Option<(u32, usize)> = None;
    for (at, _) in text.match_indices("/*") {
        let rest = &text[at + 2..];
        let number = |it: &str| it.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
        if let Some(id) = rest.strip_prefix('<').and_then(number) {
            open.push((id, at));
        } else if let Some(id) = number(rest)
            && let Some(&(last, from)) = open.last()
            && last == id
        {
            open.pop();
            let is_closer = found.is_none_or(|it| it.1 < from);
            if from <= begin && end <= at + 2 && is_closer {
                found = Some((id, from));
            }
        }
    }
    found.map(|it| it.0)
}
