//! Processes: a scheduler, executors, and sessions that ask them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actionlog_ballista::{Options, cluster};

use crate::support::{Asked, Fake, KNOWN};

/// A process that is killed when it is dropped, and what it wrote to its standard error.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(program: &str, args: &[String], variables: &[(String, String)]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!("actionlog-ballista-{}-{number}", std::process::id()));
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .env("ACTIONLOG_LOG", "debug")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(&self.log));
    }
}

/// A port that was free a moment ago.
pub(crate) fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) struct Cluster {
    pub(crate) port: u16,
    pub(crate) scheduler: Process,
    pub(crate) executors: Vec<Process>,
}

impl Cluster {
    /// Starts a scheduler, which has no credentials, and executors, which do.
    pub(crate) fn start(executors: usize, tasks: usize, variables: &[(String, String)]) -> Self {
        let mut cluster = Self::without_executors();
        (0..executors).for_each(|_| cluster.add_executor(&format!("--tasks {tasks}"), variables));
        cluster
    }

    pub(crate) fn without_executors() -> Self {
        let port = port();
        Self { port, scheduler: Self::scheduler(port), executors: Vec::new() }
    }

    pub(crate) fn add_executor(&mut self, args: &str, variables: &[(String, String)]) {
        self.add_executor_at([port(), port()], args, variables);
    }

    /// Starts an executor with these ports for rows and for tasks.
    pub(crate) fn add_executor_at(&mut self, ports: [u16; 2], args: &str, variables: &[(String, String)]) {
        let ([rows, tasks], scheduler) = (ports, self.port);
        let ports = format!("--scheduler-port {scheduler} --port {rows} --grpc-port {tasks} --heartbeat 1");
        let args: Vec<_> = ports.split(' ').chain(args.split(' ')).map(str::to_owned).collect();
        self.executors.push(Process::start(env!("CARGO_BIN_EXE_actionlog-executor"), &args, variables));
    }

    pub(crate) fn restart_scheduler(&mut self) {
        self.scheduler.kill();
        self.scheduler = Self::scheduler(self.port);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn scheduler(port: u16) -> Process {
        let args =
            ["--listen".to_owned(), format!("127.0.0.1:{port}"), "--executor-timeout".to_owned(), "6".to_owned()];
        Process::start(env!("CARGO_BIN_EXE_actionlog-scheduler"), &args, &[])
    }

    /// Waits until the executors are registered.
    pub(crate) async fn ready(&self) {
        let start = Instant::now();
        let count = |it: &Process| it.log().contains("registered") || it.log().contains("Executor registration");
        while !self.executors.iter().all(count) {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", self.executors[0].log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn ask(&self, fake: &Fake, options: Options) -> Asked {
        self.ask_with(fake, options, &KNOWN)
    }

    /// As [`ask`](Self::ask), with other variables.
    pub(crate) fn ask_with(&self, fake: &Fake, options: Options, more: &[(&str, &str)]) -> Asked {
        let logs = fake.session(options, more).logs;
        let session = cluster::session(self.url(), &logs).unwrap();
        Asked { session, logs }
    }
}
