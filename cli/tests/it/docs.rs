//! The README, the manual pages and the completions are as the tool is. `ACTIONLOG_WRITE=1` writes the README's outputs
//! and help texts again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use actionlog_cli::args::Cli;
use clap::CommandFactory;

use crate::support::{Running, ran, unconfigured};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

static WRITING: Mutex<()> = Mutex::new(());

/// The address in the README.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// The part of the README between two comments.
fn part<'a>(readme: &'a str, begin: &str, end: &str) -> &'a str {
    readme.split_once(begin).unwrap().1.split_once(end).unwrap().0
}

/// Compares a part of the README with what it should be, or writes it.
fn hold(begin: &str, end: &str, expected: &str) {
    let _one_at_a_time = WRITING.lock().unwrap();
    let readme = std::fs::read_to_string(README).unwrap();
    let part = part(&readme, begin, end);
    if std::env::var_os("ACTIONLOG_WRITE").is_some() {
        let around = |part: &str| format!("{begin}{part}{end}");
        std::fs::write(README, readme.replace(&around(part), &around(expected))).unwrap();
    } else {
        assert!(part == expected, "ACTIONLOG_WRITE=1 writes this part of the README:\n{expected}");
    }
}

/// A shell that runs one line after the other, in one folder, with what was exported before.
struct Shell {
    folder: tempfile::TempDir,
    exports: String,
}

impl Shell {
    fn run(&self, line: &str) -> String {
        let tool = Path::new(env!("CARGO_BIN_EXE_actionlog"));
        let mut command = Command::new("sh");
        let path = format!("{}:{}", tool.parent().unwrap().display(), std::env::var("PATH").unwrap());
        command.args(["-c", &format!("{}\n{{ {line}\n}} 2>&1", self.exports)]);
        command.current_dir(self.folder.path()).env("PATH", path).env("NO_PROXY", "*").env("LC_ALL", "C");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

/// Runs the transcript, and returns it with the outputs as they are.
fn transcript(text: &str) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let mut lines = text.split_inclusive('\n').peekable();
    let mut shell = Shell { folder, exports: String::new() };
    let (mut out, mut server, mut address) = (String::new(), None, String::new());
    while let Some(line) = lines.next() {
        out.push_str(line);
        let Some(command) = line.strip_prefix("$ ") else { continue };
        while lines.next_if(|it| !it.starts_with("$ ") && !it.starts_with("```")).is_some() {}
        if let Some(options) = command.strip_prefix("actionlog fake") {
            let mut tool = unconfigured(shell.folder.path(), &format!("fake --port 0 {options}"));
            let mut child = tool.stdout(Stdio::piped()).spawn().unwrap();
            let mut printed: Vec<String> = Vec::new();
            let mut reader = BufReader::new(child.stdout.take().unwrap()).lines();
            while printed.iter().filter(|it| it.starts_with("curl")).count() < 3 {
                printed.push(reader.next().unwrap().unwrap());
            }
            // It goes on writing a line for each request.
            std::thread::spawn(move || reader.for_each(drop));
            server = Some(Running(child));
            address = printed[0].split(' ').find(|it| it.starts_with("http")).unwrap().trim_end_matches(',').to_owned();
            let exports: Vec<_> = printed.iter().filter(|it| it.starts_with("export ")).cloned().collect();
            shell.exports = exports.join("\n");
            out.push_str(&(printed.join("\n") + "\n").replace(&address, ADDRESS));
        } else {
            out.push_str(&shell.run(command.trim_end()).replace(&address, ADDRESS));
        }
    }
    assert!(server.is_some());
    out
}

#[test]
fn the_transcript_of_the_readme_is_what_the_tool_prints() {
    let (begin, end) = ("<!-- transcript: run by tests/it/docs.rs -->", "<!-- end of transcript -->");
    let readme = std::fs::read_to_string(README).unwrap();
    let shown = part(&readme, begin, end);
    assert!(shown.matches("\n$ ").count() > 8, "it has a line for each command");
    hold(begin, end, &transcript(shown));
}

#[test]
fn the_help_texts_of_the_readme_are_those_of_the_tool() {
    let mut expected = "\n".to_owned();
    for name in ["check", "export", "follow", "timeline", "report", "fake"] {
        let mut command = unconfigured(Path::new("."), &format!("{name} --help"));
        command.env("COLUMNS", "100");
        let help = ran(command).ends(0).out;
        // The options of all commands are shown once, below.
        let own = help.split("\n  -h, --help").next().unwrap();
        let help: Vec<_> = own.trim_end().lines().map(str::trim_end).collect();
        expected.push_str(&format!(
            "\n<details><summary><code>actionlog {name} --help</code></summary>\n\n```text\n{}\n```\n\n</details>\n",
            help.join("\n")
        ));
    }
    let mut command = unconfigured(Path::new("."), "--help");
    command.env("COLUMNS", "100");
    let help = ran(command).ends(0).out;
    let global = help.split_once("Global options:").unwrap().1.split_once("Environment:").unwrap().0;
    let global: Vec<_> = global.trim_end().lines().map(str::trim_end).collect();
    expected.push_str(&format!("\nOptions of all commands:\n\n```text{}\n```\n\n", global.join("\n")));
    hold("<!-- help: written by tests/it/docs.rs -->", "<!-- end of help -->", &expected);
}

#[test]
fn the_readme_and_the_manual_have_every_command() {
    let readme = std::fs::read_to_string(README).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    ran(unconfigured(folder.path(), "man --dir pages")).ends(0);
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(
            readme.contains(&format!("| `actionlog {name} ")) || readme.contains(&format!("| `actionlog {name}` |")),
            "{name}"
        );
        let page = std::fs::read_to_string(folder.path().join(format!("pages/actionlog-{name}.1"))).unwrap();
        assert!(page.contains(".TH ") && page.contains(".SH OPTIONS"), "{name}");
    }
    let main = ran(unconfigured(folder.path(), "man")).ends(0).out;
    assert!(main.contains("UNLEASH_TOKEN") && main.contains("a wrong command line"), "{main}");
}

#[test]
fn each_shell_has_completions_that_know_the_options() {
    let folder = tempfile::TempDir::new().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = ran(unconfigured(folder.path(), &format!("completions {shell}"))).ends(0).out;
        assert!(text.contains("checkpoint-every") && text.contains("timeline"), "{shell}");
        if shell == "bash" {
            std::fs::write(folder.path().join("completions"), text).unwrap();
            let checked = Command::new("bash").args(["-n", "completions"]).current_dir(folder.path()).status();
            assert!(checked.is_ok_and(|it| it.success()));
        }
    }
}

#[test]
fn a_wrong_command_line_is_status_two_and_names_what_is_wrong() {
    let folder = tempfile::TempDir::new().unwrap();
    for (line, message) in [
        ("", "Usage: actionlog"),
        ("exprt", "similar"),
        ("export", "<LOG>"),
        ("export other --to a.csv", "a log is `arklow`"),
        ("export unleash --token x --to a.csv", "unexpected argument '--token'"),
        ("timeline --limit 0", "0"),
        ("follow unleash --to a.sqlite --poll 0s", "above zero"),
        ("fake --rate 2000/s", "at most 1000/s"),
        ("fake --records 1000000", "100000"),
        ("fake --fail slow:1", "a fault and a share"),
    ] {
        let ran = ran(unconfigured(folder.path(), line)).ends(2);
        assert!(ran.err.contains(message), "{line}: {}", ran.err);
    }
    assert!(ran(unconfigured(folder.path(), "--version")).ends(0).out.starts_with("actionlog "));
}
