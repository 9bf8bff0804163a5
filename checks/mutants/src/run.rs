//! Runs tests: each alone to see which sites it passes, and for a mutant those that pass it, until one fails.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::sites::Mutant;

/// Longer tests are left out.
const LONGEST: Duration = Duration::from_secs(60);

/// The least time after which a mutant's tests count as endless.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many cases random models have, unless `MODEL_CASES` says it. With far fewer, too few of them are of some of the
/// kinds that the models count.
const CASES: &str = "400";

/// A test that takes so long isn't run first, whatever it is likely to tell.
const SLOW: Duration = Duration::from_secs(1);

/// Tests that are neither of a mutant's module nor models of its area get this share of its time.
const OTHERS: u32 = 3;

/// How many tests that failed with other mutants of a function are run first.
const MOST_LIKELY: usize = 4;

/// The most memory of a process, in KiB: a mutant may collect without an end.
const MEMORY: u32 = 10_000_000;

/// A test.
#[derive(Clone, Debug)]
pub struct Test {
    /// The index of its binary.
    pub binary: usize,
    /// Its name.
    pub name: String,
    /// How long it took alone.
    pub time: Duration,
    /// The sites that it passes.
    pub reached: BTreeSet<u32>,
}

/// What a test has to do with a mutant, in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Own,
    Model,
    Other,
}

/// How a run of tests ended.
enum End {
    Passed,
    /// With the test's name.
    Failed(String),
    Endless,
}

/// What runs tests.
pub struct Runner {
    /// The copy of the crate.
    pub tree: PathBuf,
    /// The test binaries.
    pub binaries: Vec<PathBuf>,
    /// How many processes run at a time.
    pub jobs: usize,
    /// For how long the tests of a mutant may run before it counts as missed.
    pub limit: Duration,
}

impl Runner {
    fn command(&self, binary: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")]).arg(&self.binaries[binary]);
        command.args(arguments).current_dir(&self.tree).env("CARGO_MANIFEST_DIR", &self.tree);
        if std::env::var_os("MODEL_CASES").is_none() {
            command.env("MODEL_CASES", CASES);
        }
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        command
    }

    fn list(&self) -> Result<Vec<(usize, String)>, Failure> {
        let mut all = Vec::new();
        for binary in 0..self.binaries.len() {
            let list = |more: &[&str]| -> Result<HashSet<String>, Failure> {
                let out = self.command(binary, &[&["--list", "--format", "terse"], more].concat()).output()?;
                let out = String::from_utf8(out.stdout)?;
                Ok(out.lines().filter_map(|it| it.strip_suffix(": test")).map(str::to_owned).collect())
            };
            let ignored = list(&["--ignored"])?;
            all.extend(list(&[])?.into_iter().filter(|it| !ignored.contains(it)).map(|it| (binary, it)));
        }
        all.sort();
        Ok(all)
    }

    /// Runs each test alone. Returns those that pass. What was found is kept in a file for the same binaries.
    pub fn survey(&self, folder: &Path) -> Result<Vec<Test>, Failure> {
        let (kept, key) = (folder.join("survey"), self.key()?);
        if let Some(tests) = fs::read_to_string(&kept).ok().and_then(|it| parse(it.strip_prefix(&key)?)) {
            return Ok(tests);
        }
        let list = self.list()?;
        fs::create_dir_all(folder)?;
        let tests: Vec<Option<Test>> = each(self.jobs, &list, |index, (binary, name)| {
            let file = folder.join(format!("{index}"));
            let _ = fs::remove_file(&file);
            let mut command = self.command(*binary, &["--exact", name, "--test-threads=1"]);
            command.env("MUTANT_REACH", &file);
            let begin = Instant::now();
            let end = watch(command, LONGEST);
            let time = begin.elapsed();
            let text = fs::read_to_string(&file).unwrap_or_default();
            match end {
                End::Passed => {
                    let reached = text.lines().filter_map(|it| it.parse().ok()).collect();
                    Some(Test { binary: *binary, name: name.clone(), time, reached })
                }
                End::Failed(_) => {
                    println!("left out, since it fails in the copy: {name}");
                    None
                }
                End::Endless => {
                    println!("left out, since it takes longer than {LONGEST:?}: {name}");
                    None
                }
            }
        });
        let tests: Vec<_> = tests.into_iter().flatten().collect();
        fs::write(kept, key + &tests.iter().map(line).collect::<String>())?;
        Ok(tests)
    }

    /// What tells these binaries from others.
    fn key(&self) -> Result<String, Failure> {
        let cases = std::env::var("MODEL_CASES").unwrap_or_default();
        let mut key = format!("{cases}\n");
        for binary in &self.binaries {
            key += &format!("{} {:?}\n", binary.display(), fs::metadata(binary)?.modified()?);
        }
        Ok(key)
    }

    /// Returns which test fails with this mutant, or why none can. `None` if all pass, or as many as the time is for.
    /// Tests whose names are in `likely` run first.
    pub fn hunt(&self, mutant: &Mutant, tests: &[Test], likely: &[String]) -> Option<String> {
        let reaching = in_turn(mutant, tests, likely, self.limit);
        let mutant = mutant.id;
        let (mut at, mut size) = (0, Duration::from_millis(200));
        let mut total = Duration::ZERO;
        while at < reaching.len() && total < self.limit {
            let first = reaching[at];
            let mut time = Duration::ZERO;
            let begin = at;
            while at < reaching.len() && reaching[at].binary == first.binary && (at == begin || time < size) {
                time += reaching[at].time;
                at += 1;
            }
            total += time;
            size *= 2;
            match self.try_batch(mutant, first.binary, &reaching[begin..at], time) {
                End::Passed => {}
                End::Endless => return Some(format!("endless, from {}", first.name)),
                // Again, alone: some tests fail by chance on a busy machine.
                End::Failed(name) => {
                    let same: Vec<_> = reaching[begin..at].iter().filter(|it| it.name == name).copied().collect();
                    match self.try_batch(mutant, first.binary, &same, time) {
                        End::Passed if !same.is_empty() => at = begin + self.index_behind(&reaching[begin..at], &name),
                        _ => return Some(name),
                    }
                }
            }
        }
        None
    }

    fn index_behind(&self, batch: &[&Test], name: &str) -> usize {
        batch.iter().position(|it| it.name == name).map_or(batch.len(), |it| it + 1)
    }

    fn try_batch(&self, mutant: u32, binary: usize, batch: &[&Test], time: Duration) -> End {
        let mut arguments = vec!["--exact", "--test-threads=1"];
        arguments.extend(batch.iter().map(|it| it.name.as_str()));
        let mut command = self.command(binary, &arguments);
        command.env("MUTANT", mutant.to_string());
        watch(command, PATIENCE.max(time * 5))
    }
}

/// The tests to run for a mutant, in their order: those that are likely to fail; the quick ones of its module, and of
/// those above that; the random models of its area, which show what no example thinks of; then the quickest others, for
/// a share of the limit. A test counts as quicker the more it passes of the mutant's file.
fn in_turn<'a>(mutant: &Mutant, tests: &'a [Test], likely: &[String], limit: Duration) -> Vec<&'a Test> {
    let of_file = |it: &Test| it.reached.range(mutant.file.clone()).count();
    let passing = tests.iter().filter(|it| it.reached.contains(&mutant.site));
    let mut passing: Vec<_> = passing.map(|it| (it, of_file(it))).collect();
    let most = passing.iter().map(|it| it.1).max().unwrap_or_default();
    let module = module(mutant);
    let is_of = |test: &Test, folder| test.name.split_once(folder).is_some_and(|it| module.starts_with(it.0));
    let group = |test: &Test| match test {
        _ if is_of(test, "::model::") => Group::Model,
        _ if test.time < SLOW && (test.name.starts_with(&module) || is_of(test, "::tests::")) => Group::Own,
        _ => Group::Other,
    };
    passing.sort_by_cached_key(|(test, passed)| {
        let rank = likely.iter().position(|name| *name == test.name).filter(|_| test.time < SLOW);
        let share = *passed as f64 / most as f64;
        (rank.unwrap_or(usize::MAX), group(test), test.time.div_f64(share * share))
    });
    let mut left = limit / OTHERS;
    let in_time = |test: &&Test| {
        if group(test) != Group::Other {
            return true;
        }
        let is_in_time = !left.is_zero();
        left = left.saturating_sub(test.time);
        is_in_time
    };
    passing.into_iter().map(|it| it.0).filter(in_time).collect()
}

/// The path of a mutant's module: `page::walk::drift::`.
fn module(mutant: &Mutant) -> String {
    let file = mutant.text.split(" | ").next().unwrap_or_default();
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    format!("{}::", path.replace('/', "::"))
}

/// A test as a line of the file that keeps them.
fn line(test: &Test) -> String {
    let reached: Vec<_> = test.reached.iter().map(u32::to_string).collect();
    format!("{} {} {} {}\n", test.binary, test.name, test.time.as_micros(), reached.join(","))
}

fn parse(lines: &str) -> Option<Vec<Test>> {
    let test = |line: &str| {
        let mut words = line.split(' ');
        let binary = words.next()?.parse().ok()?;
        let name = words.next()?.to_owned();
        let time = Duration::from_micros(words.next()?.parse().ok()?);
        let reached = words.next()?.split(',').filter_map(|it| it.parse().ok()).collect();
        Some(Test { binary, name, time, reached })
    };
    lines.lines().map(test).collect()
}

/// Whether any test passes a mutant.
pub fn is_passed(mutant: &Mutant, tests: &[Test]) -> bool {
    tests.iter().any(|it| it.reached.contains(&mutant.site))
}

/// Which tests are likely to fail with a mutant: those that failed with others of its function.
#[derive(Default)]
pub struct Likely(Mutex<BTreeMap<String, Vec<String>>>);

impl Likely {
    /// Returns the names of tests to run first. `before` is what failed with this mutant in an earlier run.
    pub fn first(&self, mutant: &Mutant, before: Option<&String>) -> Vec<String> {
        let others = self.0.lock().ok().and_then(|it| it.get(function(mutant)).cloned()).unwrap_or_default();
        before.into_iter().cloned().chain(others.into_iter().rev().take(MOST_LIKELY)).collect()
    }

    /// Notes which test failed with a mutant.
    pub fn note(&self, mutant: &Mutant, end: Option<&str>) {
        let (Some(end), Ok(mut all)) = (end, self.0.lock()) else { return };
        let names = all.entry(function(mutant).to_owned()).or_default();
        names.retain(|it| it != end);
        names.push(end.to_owned());
    }
}

/// The file and the function of a mutant.
fn function(mutant: &Mutant) -> &str {
    mutant.text.match_indices(" | ").nth(1).map_or(&mutant.text, |(at, _)| &mutant.text[..at])
}

/// Runs a test process until its first failure.
fn watch(mut command: Command, limit: Duration) -> End {
    let Ok(mut child) = command.spawn() else { return End::Failed("it doesn't start".to_owned()) };
    let (to, lines) = channel();
    if let Some(out) = child.stdout.take() {
        thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|it| to.send(it)));
    }
    let deadline = Instant::now() + limit;
    // The name and the result may be on different lines, with what the test prints between them.
    let mut name = String::new();
    let end = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(begun) = line.strip_prefix("test ").and_then(|it| it.split_once(" ... ")) {
                    name = begun.0.trim_end_matches(" - should panic").to_owned();
                }
                if line.ends_with("FAILED") {
                    break Some(End::Failed(name.clone()));
                }
            }
            Err(RecvTimeoutError::Timeout) => break Some(End::Endless),
            Err(RecvTimeoutError::Disconnected) => break None,
        }
    };
    match end {
        Some(end) => {
            kill(&mut child);
            end
        }
        None => match child.wait() {
            Ok(status) if status.success() => End::Passed,
            _ => End::Failed(name),
        },
    }
}

/// Ends a process with all that it started.
fn kill(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    let _ = child.wait();
}

/// Does something with each item, in several threads. Returns the results in their order.
pub fn each<T: Sync, R: Send>(jobs: usize, items: &[T], each: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((index, item)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|index| items.get(index).map(|item| (index, item)))
                {
                    let result = each(index, item);
                    if let Ok(mut results) = results.lock() {
                        results.insert(index, result);
                    }
                }
            });
        }
    });
    results.into_inner().map(|it| it.into_values().collect()).unwrap_or_default()
}
