//! A fake server on a port, a folder, and the tool.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use actionlog::testing::{FakeServer, Fault, Server};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A secret that no output may show.
pub const SECRET: &str = "s3cr3t-T0ken";

/// A fake server with its runtime, and a folder for files.
pub struct Bench {
    pub fake: FakeServer,
    pub folder: TempDir,
    url: String,
    _server: Server,
    _runtime: Runtime,
}

impl Bench {
    /// With this many records in each log.
    pub fn new(records: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        let fake = FakeServer::new();
        fake.arklow().add_sample_records("4711", records);
        fake.integration().add_sample_logs(records);
        fake.unleash().add_sample_events("default", 1, records);
        let server = runtime.block_on(fake.listen()).unwrap();
        Self { folder: TempDir::new().unwrap(), url: server.url(), fake, _server: server, _runtime: runtime }
    }

    /// With this many records in each log, and pages of ten: a scan takes many requests.
    pub fn in_small_pages(records: usize) -> Self {
        let bench = Self::new(records);
        bench.fake.integration().largest_page(10);
        bench.fake.unleash().largest_page(10);
        bench
    }

    /// As [`in_small_pages`](Self::in_small_pages), by a server so slow that an export is under way for seconds.
    pub fn slow(records: usize) -> Self {
        let bench = Self::in_small_pages(records);
        bench.fake.latency(Duration::from_millis(20));
        bench
    }

    /// From this request on, all responses have this fault.
    pub fn fails_from(&self, request: usize, fault: Fault) {
        self.fake.at_request(request, move |fake| {
            fake.fail_randomly(fault.clone(), 1.0, 0);
        });
    }

    /// Runs an export until it has stored its state, and kills it. The server is fast then.
    pub fn killed(&self, line: &str, name: &str) {
        let run = Running::start(self.tool(line));
        wait_until("the run stores its state", || self.path(&format!("{name}.part/state.json")).exists());
        drop(run);
        self.fake.latency(Duration::ZERO);
    }

    /// Runs the tool with files of so many bytes at most: the system refuses to write more, as on a full disk.
    pub fn run_limited(&self, line: &str, kilobytes: u32) -> Ran {
        let tool = self.tool(line);
        let mut limited = Command::new("sh");
        let blocks = kilobytes * 2;
        limited
            .args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")])
            .arg(tool.get_program())
            .args(tool.get_args())
            .envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(self.folder.path());
        ran(limited)
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The tool, with all three logs configured.
    pub fn tool(&self, line: &str) -> Command {
        let mut command = unconfigured(self.folder.path(), line);
        command.envs([
            ("ARKLOW_BASE_URL", self.url.as_str()),
            ("ARKLOW_API_KEY", SECRET),
            ("ARKLOW_ORG_ID", "4711"),
            ("INTEGRATION_LOGS_URL", &self.url),
            ("INTEGRATION_LOGS_AUTHORIZATION", &format!("Bearer {SECRET}")),
            ("UNLEASH_URL", &self.url),
            ("UNLEASH_TOKEN", &format!("user:{SECRET}")),
            ("UNLEASH_ACTION_SET", "1"),
        ]);
        command
    }

    /// Runs the tool to its end.
    pub fn run(&self, line: &str) -> Ran {
        ran(self.tool(line))
    }

    /// The lines of an NDJSON file.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    /// The manifest of an export.
    pub fn manifest(&self, name: &str) -> Value {
        let text = std::fs::read(self.path(&format!("{name}.manifest.json"))).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The names of the files in the folder.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The tool with no log configured, in this folder.
pub fn unconfigured(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actionlog"));
    command.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["ARKLOW_", "INTEGRATION_LOGS_", "UNLEASH_"].iter().any(|it| name.starts_with(it)) {
            command.env_remove(name);
        }
    }
    // A colour or a proxy of the machine is none of the tests' business.
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("NO_PROXY", "*");
    command
}

/// How the tool ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Asserts the exit status.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// Runs a command to its end, which must show no secret.
#[track_caller]
pub fn ran(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: status.code(), out: text(stdout), err: text(stderr) };
    assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{ran:#?}");
    ran
}

/// A tool that is running, and is killed with the test.
pub struct Running(pub Child);

impl Running {
    /// Starts it, without output.
    pub fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end. Returns the exit status, if no signal ended it.
    pub fn end(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The SHA-256 of a file, in hexadecimal digits.
pub fn sha256(path: &Path) -> String {
    actionlog_cli::export::manifest::hash(path, || Ok(())).unwrap().1
}
