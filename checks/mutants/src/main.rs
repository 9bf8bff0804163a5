//! Changes the crate's source in many small ways, all of them in one build, and looks whether a test fails for each.
//! CONTRIBUTING.md describes it.

mod compile;
mod run;
mod sites;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sites::Mutant;

type Failure = Box<dyn std::error::Error>;

/// What decides what is read, sent, retried and hidden.
const FOLDERS: [&str; 11] = [
    "src/cursor",
    "src/transport/attempts.rs",
    "src/transport/mod.rs",
    "src/transport/retry",
    "src/transport/renewal.rs",
    "src/transport/classify.rs",
    "src/transport/limiter.rs",
    "src/transport/redact",
    "src/follow",
    "src/page/fetch",
    "src/page/walk",
];

/// How many of a hundred mutants that can be told must be caught.
const CAUGHT: usize = 95;

/// Mutants that no test can tell, a line each: `FILE | FUNCTION | CHANGE | REASON`.
const EQUIVALENT: &str = "checks/mutants/equivalent.txt";

const HELP: &str = "usage: .ci/mutants [--missed] [--lib] [FOLDER|FILE]...

--missed: only those that the last run missed
--lib: only the tests in the library, which are built sooner";

fn main() -> ExitCode {
    match check() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<bool, Failure> {
    let begin = Instant::now();
    let (flags, mut folders): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|it| it.starts_with('-'));
    if flags.iter().any(|it| it != "--missed" && it != "--lib") {
        return Err(HELP.into());
    }
    if folders.is_empty() {
        folders = FOLDERS.map(str::to_owned).into();
    }
    let root = std::env::current_dir()?;
    let work = root.join("target/mutants");
    let tree = work.join("tree");
    let files = sources(&root, &folders)?;
    copy(&root, &tree, &files)?;
    let refused = work.join("refused.txt");
    let built = compile::build(&root, &tree, &files, flags.iter().any(|it| it == "--lib"), &refused)?;
    println!("{} mutants; {} more don't compile ({:?})", built.mutants.len(), built.dropped, begin.elapsed());
    let limit = Duration::from_secs(number("MUTANT_SECONDS").unwrap_or(60));
    let runner = run::Runner { tree, binaries: built.binaries, jobs: jobs(), limit };
    let tests = runner.survey(&work.join("reach"))?;
    let slow: Duration = tests.iter().map(|it| it.time).sum();
    println!("{} tests, which take {slow:?} one by one ({:?})", tests.len(), begin.elapsed());

    let equivalent = equivalent(&root)?;
    let outcome = work.join("outcome.txt");
    let last = last(&outcome);
    let again = !flags.iter().any(|it| it == "--missed");
    let done = AtomicUsize::new(0);
    let found = Mutex::new(last.clone());
    let likely = run::Likely::default();
    let ends = run::each(runner.jobs, &built.mutants, |_, mutant| {
        let before = last.get(&mutant.text).filter(|it| it.as_str() != MISSED);
        let end = match before.filter(|_| !again) {
            Some(before) => Some(before.clone()),
            None => runner.hunt(mutant, &tests, &likely.first(mutant, before)),
        };
        likely.note(mutant, end.as_deref());
        if let Ok(mut found) = found.lock() {
            found.insert(mutant.text.clone(), end.as_deref().unwrap_or(MISSED).to_owned());
            // A run that is stopped has found something, too.
            if (done.load(Ordering::Relaxed) + 1) % 50 == 0 {
                let _ = fs::write(&outcome, lines(&found));
            }
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if end.is_none() && !equivalent.contains_key(&mutant.text) {
            let why = if run::is_passed(mutant, &tests) { "" } else { " (no test passes it)" };
            println!("missed: {}{why}", mutant.text);
        }
        if done % 100 == 0 {
            println!("{done} of {} ({:?})", built.mutants.len(), begin.elapsed());
        }
        end
    });
    let all: Vec<_> = built.mutants.iter().zip(&ends).collect();
    write(&outcome, last, &files, &all)?;
    let ok = report(&folders, &all, &equivalent);
    println!("{:?}; each outcome is in {}", begin.elapsed(), outcome.display());
    Ok(ok)
}

const MISSED: &str = "MISSED";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn jobs() -> usize {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    number("MUTANT_JOBS").and_then(|it| it.try_into().ok()).unwrap_or(all)
}

/// Writes each outcome. What the last runs found in other files stays.
fn write(
    to: &Path,
    last: BTreeMap<String, String>,
    files: &[String],
    all: &[(&Mutant, &Option<String>)],
) -> Result<(), Failure> {
    let is_other = |text: &str| !files.iter().any(|it| text.split(" | ").next() == Some(it));
    let mut outcomes: BTreeMap<_, _> = last.into_iter().filter(|it| is_other(&it.0)).collect();
    outcomes.extend(all.iter().map(|(it, end)| (it.text.clone(), end.as_deref().unwrap_or(MISSED).to_owned())));
    fs::write(to, lines(&outcomes))?;
    Ok(())
}

fn lines(outcomes: &BTreeMap<String, String>) -> String {
    outcomes.iter().map(|(text, end)| format!("{text} | {end}\n")).collect()
}

/// Prints the figures of each folder. Returns whether all is as promised.
fn report(folders: &[String], all: &[(&Mutant, &Option<String>)], equivalent: &BTreeMap<String, String>) -> bool {
    println!("\n{:<30} {:>7} {:>7} {:>10} {:>7} {:>8}", "", "mutants", "caught", "equivalent", "missed", "");
    let mut ok = true;
    let (mut total, mut caught_of_all) = (0, 0);
    for folder in folders {
        let here: Vec<_> = all.iter().filter(|it| it.0.text.starts_with(folder.as_str())).collect();
        let caught = here.iter().filter(|it| it.1.is_some()).count();
        let same = here.iter().filter(|it| it.1.is_none() && equivalent.contains_key(&it.0.text)).count();
        let can_be_told = here.len() - same;
        let percent = 100.0 * caught as f64 / can_be_told.max(1) as f64;
        let missed = can_be_told - caught;
        println!("{folder:<30} {:>7} {caught:>7} {same:>10} {missed:>7} {percent:>6.1} %", here.len());
        total += can_be_told;
        caught_of_all += caught;
    }
    println!("{caught_of_all} of {total} that can be told are caught");
    ok &= caught_of_all * 100 >= total * CAUGHT;
    for text in equivalent.keys().filter(|it| folders.iter().any(|folder| it.starts_with(folder.as_str()))) {
        match all.iter().find(|it| it.0.text == *text) {
            None => println!("listed as equivalent, but there is no such mutant: {text}"),
            Some((_, Some(by))) => println!("listed as equivalent, but caught by {by}: {text}"),
            Some((_, None)) => continue,
        }
        ok = false;
    }
    ok
}

fn equivalent(root: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text = fs::read_to_string(root.join(EQUIVALENT))?;
    let lines = text.lines().filter(|it| !it.trim().is_empty() && !it.starts_with('#'));
    lines
        .map(|line| {
            let (text, reason) = line.rsplit_once(" | ").filter(|it| !it.1.trim().is_empty()).ok_or(line)?;
            Ok((text.to_owned(), reason.to_owned()))
        })
        .collect()
}

fn last(outcome: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(outcome).unwrap_or_default();
    text.lines().filter_map(|it| it.rsplit_once(" | ")).map(|it| (it.0.to_owned(), it.1.to_owned())).collect()
}

/// The source files in some folders, in the order of these, without models and tests.
fn sources(root: &Path, folders: &[String]) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for folder in folders {
        let mut files = Vec::new();
        let mut next = vec![root.join(folder)];
        while let Some(path) = next.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path)?.map(|it| it.map(|it| it.path())).collect::<Result<Vec<_>, _>>()?;
                let is_test = |it: &Path| ["model", "tests", "tests.rs"].iter().any(|name| it.ends_with(name));
                next.extend(entries.into_iter().filter(|it| !is_test(it)));
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
            }
        }
        files.sort();
        files.retain(|it| !all.contains(it));
        all.extend(files);
    }
    Ok(all)
}

/// Copies what git knows of, except for the files that are rewritten. Unchanged files keep their times, so that cargo
/// builds only what it has to.
fn copy(root: &Path, tree: &Path, rewritten: &[String]) -> Result<(), Failure> {
    let list = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).output()?;
    let list = String::from_utf8(list.stdout)?;
    for file in list.lines().filter(|it| *it != "src/lib.rs" && !rewritten.iter().any(|file| file == it)) {
        let (from, to) = (root.join(file), tree.join(file));
        // A file that is deleted and not committed is still listed.
        let Ok(content) = fs::read(&from) else { continue };
        if !fs::read(&to).is_ok_and(|it| it == content) {
            fs::create_dir_all(to.parent().ok_or("a file without a folder")?)?;
            fs::copy(&from, &to)?;
        }
    }
    ["src", "tests"].iter().try_for_each(|it| remove_others(root, tree, Path::new(it)))
}

/// Removes the files in a folder of the copy that the checkout doesn't have any more.
fn remove_others(root: &Path, tree: &Path, folder: &Path) -> Result<(), Failure> {
    let Ok(entries) = fs::read_dir(tree.join(folder)) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            remove_others(root, tree, &path)?;
        } else if !root.join(&path).exists() && path != Path::new("src/mutant.rs") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
