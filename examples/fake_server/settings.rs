//! The settings of the fake server, and how their values are written. The tool `actionlog fake` shares them.

use std::time::Duration;

use actionlog::testing::Fault;

/// What `--rate` takes.
pub(crate) const RATE: &str = "a number and a unit, at most 1000/s, such as 2/s, 30/m or 1/h";

/// What `--fail` takes.
pub(crate) const FAIL: &str =
    "a fault and a share, such as 503:0.05 (a status from 400 to 599, hang, reset, empty or short)";

/// What `--latency` takes.
pub(crate) const LATENCY: &str = "a time, such as 50ms or 2s";

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

/// The records a second.
pub(crate) fn rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|it| it / seconds).filter(|it| (0.0..=1000.0).contains(it))
}

/// A fault, and the share of the responses that it hits.
pub(crate) fn fault(text: &str) -> Option<(Fault, f64)> {
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

/// A time.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let millis = text.strip_suffix("ms").and_then(|it| it.parse().ok());
    let time = millis.map(Duration::from_millis);
    time.or_else(|| text.strip_suffix('s')?.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok()))
}
