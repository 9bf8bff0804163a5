//! The command line of the fake server.

use std::time::Duration;

use actionlog::testing::Fault;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A fake server of all three action-log APIs, for clients in any language. Ctrl-C ends it.

  --port N               the port on localhost; 0 for a free one (8080)
  --records N            the records of each log at the start, at most 100000 (500)
  --rate N/s             records added to each log: per second (/s), minute (/m) or hour (/h), at most 1000/s (none)
  --fail FAULT:SHARE     a share of the responses fails: a status from 400 to 599, `hang`, `reset`, `empty` (an empty
                         page) or `short` (a page one record short), and a share from 0 to 1. May be repeated
  --latency TIME         delays every response: 50ms, 2s (none)
  --seed N               which responses fail: the same requests fail again with the same seed (0)

Example: --port 8080 --records 500 --rate 2/s --fail 503:0.05 --latency 50ms --seed 7
";

/// The settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) port: u16,
    pub(crate) records: usize,
    /// The records added to each log in a second.
    pub(crate) rate: f64,
    pub(crate) fail: Vec<(Fault, f64)>,
    pub(crate) latency: Duration,
    pub(crate) seed: u64,
}

impl Default for Args {
    fn default() -> Self {
        Self { port: 8080, records: 500, rate: 0.0, fail: Vec::new(), latency: Duration::ZERO, seed: 0 }
    }
}

/// The settings, or `None` for `--help`. The error names the flag and what it allows.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Option<Args>, String> {
    let mut parsed = Args::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if matches!(arg.as_str(), "--help" | "-h") {
            return Ok(None);
        }
        // `--port 8080` and `--port=8080`.
        let (flag, attached) = match arg.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let allowed = match flag.as_str() {
            "--port" => "a port from 0 to 65535",
            "--records" => "a number from 0 to 100000",
            "--rate" => "a number and a unit, at most 1000/s, such as 2/s, 30/m or 1/h",
            "--fail" => "a fault and a share, such as 503:0.05 (a status from 400 to 599, hang, reset, empty or short)",
            "--latency" => "a time, such as 50ms or 2s",
            "--seed" => "a number from 0 to 18446744073709551615",
            _ => return Err(format!("unknown argument {flag}; --help lists those that there are")),
        };
        let Some(value) = attached.or_else(|| args.next()) else {
            return Err(format!("{flag} lacks a value: it takes {allowed}"));
        };
        set(&mut parsed, &flag, &value).ok_or_else(|| format!("{flag} {value}: it takes {allowed}"))?;
    }
    Ok(Some(parsed))
}

fn set(args: &mut Args, flag: &str, value: &str) -> Option<()> {
    match flag {
        "--port" => args.port = value.parse().ok()?,
        "--records" => args.records = value.parse().ok().filter(|it| *it <= 100_000)?,
        "--rate" => args.rate = rate(value)?,
        "--fail" => args.fail.push(fault(value)?),
        "--latency" => args.latency = time(value)?,
        _ => args.seed = value.parse().ok()?,
    }
    Some(())
}

fn rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|it| it / seconds).filter(|it| (0.0..=1000.0).contains(it))
}

fn fault(text: &str) -> Option<(Fault, f64)> {
    let (name, share) = text.split_once(':')?;
    let fault = match name {
        "hang" => Fault::Hang,
        "reset" => Fault::Reset,
        "empty" => Fault::EmptyOnce,
        "short" => Fault::ShortByOne,
        status => Fault::Status(status.parse().ok().filter(|it| (400..600).contains(it))?),
    };
    Some((fault, share.parse().ok().filter(|it| (0.0..=1.0).contains(it))?))
}

fn time(text: &str) -> Option<Duration> {
    let millis = text.strip_suffix("ms").and_then(|it| it.parse().ok());
    let time = millis.map(Duration::from_millis);
    time.or_else(|| text.strip_suffix('s')?.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok()))
}
