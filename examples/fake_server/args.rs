//! The command line of the fake server.

pub(crate) use super::settings::Args;
use super::settings::{FAIL, LATENCY, RATE, fault, rate, time};

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
            "--rate" => RATE,
            "--fail" => FAIL,
            "--latency" => LATENCY,
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
