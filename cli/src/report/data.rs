//! What a report counts, in bounded memory.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use actionlog::chrono::{DateTime, Utc};

use crate::report::read::Fact;

/// The outcomes, in the order in which they are drawn.
pub const OUTCOMES: [&str; 5] = ["failed", "canceled", "unknown", "pending", "succeeded"];

/// Counts by outcome, in the order of [`OUTCOMES`].
pub type ByOutcome = [u64; 5];

/// The most bars of the chart over time.
pub const BARS: usize = 90;

/// The most rows of a table.
pub const ROWS: usize = 20;

/// The most strings that are counted one by one, such as error messages. Further ones are counted together.
const TEXTS: usize = 10_000;

/// The most letters of a string from a record.
const LETTERS: usize = 300;

const HOUR: i64 = 3_600;

/// How long a bar may be, in hours.
const WIDTHS: [i64; 9] = [1, 3, 6, 12, 24, 168, 720, 8_766, 87_660];

/// What was counted.
#[derive(Debug, Default)]
pub struct Data {
    /// All records.
    pub total: ByOutcome,
    /// By log.
    pub logs: BTreeMap<String, ByOutcome>,
    /// By log and action.
    pub actions: Counted<(String, String)>,
    /// Failures by log and message.
    pub errors: Counted<(String, String)>,
    /// Records without a time.
    pub without_time: u64,
    /// Invalid records, which aren't counted elsewhere.
    pub invalid: u64,
    hours: BTreeMap<i64, ByOutcome>,
    slowest: BinaryHeap<Reverse<Slow>>,
    failures: BinaryHeap<Reverse<Late>>,
}

/// Counts of strings, up to a number of different ones.
#[derive(Debug)]
pub struct Counted<K> {
    counts: HashMap<K, ByOutcome>,
    /// The rest.
    pub others: ByOutcome,
}

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self { counts: HashMap::new(), others: [0; 5] }
    }
}

impl<K: std::hash::Hash + Eq + Ord> Counted<K> {
    fn count(&mut self, key: K, outcome: usize) {
        let is_known = self.counts.len() < TEXTS || self.counts.contains_key(&key);
        let counts = if is_known { self.counts.entry(key).or_default() } else { &mut self.others };
        add(counts, outcome);
    }

    /// Returns those with the most failures, and the sum of all others.
    #[must_use]
    pub fn top(&self) -> (Vec<(&K, ByOutcome)>, ByOutcome) {
        let mut all: Vec<_> = self.counts.iter().map(|(key, counts)| (key, *counts)).collect();
        let rank = |counts: &ByOutcome| (Reverse(counts[0]), Reverse(sum(counts)));
        all.sort_by(|one, other| rank(&one.1).cmp(&rank(&other.1)).then_with(|| one.0.cmp(other.0)));
        let mut others = self.others;
        for (_, counts) in all.iter().skip(ROWS) {
            others.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        all.truncate(ROWS);
        (all, others)
    }
}

/// A record with its duration.
#[derive(Debug, PartialEq)]
struct Slow(f64, Fact);

impl Eq for Slow {}

impl PartialOrd for Slow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Slow {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then_with(|| other.1.key.cmp(&self.1.key))
    }
}

/// A record with its time.
#[derive(Debug, PartialEq)]
struct Late(DateTime<Utc>, Fact);

impl Eq for Late {}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0).then_with(|| other.1.key.cmp(&self.1.key))
    }
}

fn add(counts: &mut ByOutcome, outcome: usize) {
    if let Some(count) = counts.get_mut(outcome) {
        *count += 1;
    }
}

/// Returns the sum of all outcomes.
#[must_use]
pub fn sum(counts: &ByOutcome) -> u64 {
    counts.iter().sum()
}

/// Some time, and what happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When the next one begins.
    pub to: DateTime<Utc>,
    /// The records.
    pub counts: ByOutcome,
}

impl Data {
    /// Counts a record.
    pub fn note(&mut self, mut fact: Fact) {
        let outcome = OUTCOMES.iter().position(|it| *it == fact.outcome).unwrap_or(2);
        add(&mut self.total, outcome);
        add(self.logs.entry(shortened(&fact.log)).or_default(), outcome);
        let action = fact.action.as_deref().map_or_else(|| "unknown action".to_owned(), shortened);
        self.actions.count((shortened(&fact.log), action), outcome);
        fact.error = fact.error.map(|it| shortened(&it));
        if outcome == 0 {
            let error = fact.error.clone().unwrap_or_else(|| "no message".to_owned());
            self.errors.count((shortened(&fact.log), error), outcome);
        }
        match fact.timestamp {
            Some(time) => add(self.hours.entry(time.timestamp().div_euclid(HOUR)).or_default(), outcome),
            None => self.without_time += 1,
        }
        if outcome == 0
            && let Some(time) = fact.timestamp
        {
            keep(&mut self.failures, Late(time, fact.clone()));
        }
        if let Some(took) = fact.duration_ms.filter(|it| it.is_finite()) {
            keep(&mut self.slowest, Slow(took, fact));
        }
    }

    /// Returns the slowest records, the slowest first.
    #[must_use]
    pub fn slowest(&self) -> Vec<&Fact> {
        let mut all: Vec<_> = self.slowest.iter().map(|it| &it.0).collect();
        all.sort_by(|one, other| other.cmp(one));
        all.into_iter().map(|it| &it.1).collect()
    }

    /// Returns the newest failures, the newest first.
    #[must_use]
    pub fn failures(&self) -> Vec<&Fact> {
        let mut all: Vec<_> = self.failures.iter().map(|it| &it.0).collect();
        all.sort_by(|one, other| other.cmp(one));
        all.into_iter().map(|it| &it.1).collect()
    }

    /// Returns the records over time, in bars of one length without gaps, [`BARS`] at most.
    #[must_use]
    pub fn bars(&self) -> Vec<Bar> {
        let (Some(first), Some(last)) = (self.hours.keys().next(), self.hours.keys().next_back()) else {
            return Vec::new();
        };
        let bars = |width: &i64| (last.div_euclid(*width) - first.div_euclid(*width)) as usize + 1;
        let widest = (last - first) / (BARS as i64 - 2) + 1;
        let width = WIDTHS.iter().copied().find(|it| bars(it) <= BARS).unwrap_or(widest);
        // Times have an end, and the last bar may reach beyond.
        let time = |bar: i64| DateTime::from_timestamp(bar * width * HOUR, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let begin = first.div_euclid(width);
        let end = last.div_euclid(width);
        let mut all: Vec<_> =
            (begin..=end).map(|it| Bar { from: time(it), to: time(it + 1), counts: [0; 5] }).collect();
        for (hour, counts) in &self.hours {
            if let Some(bar) = all.get_mut((hour.div_euclid(width) - begin) as usize) {
                bar.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        all
    }
}

/// Keeps the greatest so many.
fn keep<T: Ord>(heap: &mut BinaryHeap<Reverse<T>>, item: T) {
    heap.push(Reverse(item));
    if heap.len() > ROWS {
        heap.pop();
    }
}

/// Cuts a string from a record to the length that a page may show.
#[must_use]
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(hour: i64, outcome: &str) -> Fact {
        Fact {
            key: hour.to_string(),
            outcome: outcome.to_owned(),
            timestamp: DateTime::from_timestamp(hour * HOUR, 0),
            ..Fact::default()
        }
    }

    #[test]
    fn the_bars_are_few_and_hold_every_record_whatever_the_span() {
        for span in [1, 5, 89, 90, 91, 1_000, 20_000, 500_000, 90_000_000] {
            let mut data = Data::default();
            for index in 0..200 {
                data.note(fact(-100 + span * index / 199, OUTCOMES[index as usize % 5]));
            }
            let bars = data.bars();
            assert!(bars.len() <= BARS, "{span}: {}", bars.len());
            let mut counted = [0; 5];
            for bar in &bars {
                assert!(bar.from < bar.to);
                counted.iter_mut().zip(bar.counts).for_each(|(sum, count)| *sum += count);
            }
            assert_eq!((counted, sum(&counted)), (data.total, 200), "{span}");
            assert!(bars.windows(2).all(|it| it[0].to == it[1].from), "{span}");
        }
    }

    #[test]
    fn no_more_is_kept_than_is_shown() {
        let mut data = Data::default();
        for index in 0..50_000 {
            let mut fact = fact(index % 1_000, "failed");
            fact.error = Some(format!("{index} {}", "x".repeat(1_000)));
            fact.action = Some(format!("a{}", index % 100));
            fact.duration_ms = Some(index as f64);
            data.note(fact);
        }
        assert_eq!((data.slowest().len(), data.failures().len()), (ROWS, ROWS));
        assert_eq!(data.slowest()[0].duration_ms, Some(49_999.0));
        let (top, others) = data.errors.top();
        assert_eq!(top.iter().map(|it| sum(&it.1)).sum::<u64>() + sum(&others), 50_000);
        assert!(top.iter().all(|it| it.0.1.chars().count() <= LETTERS + 1));
        assert!(data.errors.counts.len() <= TEXTS);
    }
}
