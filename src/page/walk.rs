//! The walk: which window to ask for next, and what of its answer is new. Pure.

use std::collections::{HashSet, VecDeque};

use super::{Identity, Total, Window};

/// How many identities are remembered for recognising records.
const REMEMBERED: usize = 10_000;

/// How many requests in a row may bring nothing new, or be spent on finding the place again, before the walk gives up.
const FRUITLESS: u32 = 200;

/// A walk from a place in a listing to its end.
///
/// A dialogue: [`window`](Self::window) says what to ask for, [`observe`](Self::observe) takes what was answered.
#[derive(Debug)]
pub(super) struct Walk {
    limit: u32,
    total: Total,
    /// Where the next window begins.
    offset: u64,
    known: Known,
    /// Set while the place is lost and the listing is read anew from its head: what was given since. `known` is kept
    /// whole until a record of it is met.
    anew: Option<Known>,
    /// How often in a row the walk went back.
    steps_back: u32,
    /// How often in a row the same window was empty.
    empty: u32,
    /// The largest answer so far: what the server has shown that it gives.
    largest: usize,
    fruitless: u32,
    end: Option<End>,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A known record stood alone where there was room, or a total that may be believed said so.
    Proved,
    /// Nothing more came, and the server gives single records, which can't overlap.
    Unproved,
    /// It kept changing faster than it could be read.
    Lost,
    /// What was there is gone.
    Emptied,
}

impl Walk {
    pub(super) fn new(start: u64, limit: u32, total: Total) -> Self {
        Self {
            limit,
            total,
            offset: start,
            known: Known::default(),
            anew: None,
            steps_back: 0,
            empty: 0,
            largest: 0,
            fruitless: 0,
            end: None,
        }
    }

    /// What to ask for next. `Err` once the walk has ended.
    pub(super) fn window(&self) -> Result<Window, End> {
        match self.end {
            None => Ok(Window { offset: self.offset, limit: self.limit }),
            Some(end) => Err(end),
        }
    }

    /// Takes the answer to [`window`](Self::window), and says for each of its records whether to give it.
    pub(super) fn observe(&mut self, answer: &[Identity], total: Option<u64>) -> Vec<bool> {
        self.largest = self.largest.max(answer.len());
        let mut give = vec![false; answer.len()];
        if answer.is_empty() {
            self.observe_empty();
        } else {
            self.observe_records(answer, total, &mut give);
        }
        if give.contains(&true) && self.anew.is_none() {
            self.fruitless = 0;
        } else {
            self.fruitless += 1;
            if self.fruitless >= FRUITLESS && self.end.is_none() {
                self.end = Some(End::Lost);
            }
        }
        give
    }

    fn observe_records(&mut self, answer: &[Identity], total: Option<u64>, give: &mut [bool]) {
        self.empty = 0;
        let singles = self.largest < 2;
        let first = self.known.is_empty();
        let last_known = answer.iter().rposition(|id| self.knows(id));
        if last_known.is_none() && !first && !singles {
            if self.offset > 0 {
                return self.step_back();
            }
            // Not even the head is known: all that was read is gone, or far down. Read on from here until it's met.
            self.anew.get_or_insert_default();
        }
        self.steps_back = 0;
        let met = self.anew.is_some() && answer.iter().any(|id| self.known.contains(id));
        for (id, give) in answer.iter().zip(give.iter_mut()) {
            *give = !self.knows(id);
            if *give {
                self.anew.as_mut().unwrap_or(&mut self.known).add(id.clone());
            }
        }
        if met {
            // Back on known ground.
            for id in self.anew.take().into_iter().flat_map(Known::into_order) {
                self.known.add(id);
            }
        }
        let received = answer.len() as u64;
        let behind = self.offset + received;
        if !singles && received == 1 && last_known == Some(0) {
            self.end = Some(End::Proved);
        } else if self.may_end_by(total, behind) && received < u64::from(self.limit) {
            self.end = Some(if singles && self.offset > 0 { End::Unproved } else { End::Proved });
        }
        // One record of overlap; single records have none to spare.
        self.offset = if singles { behind } else { behind - 1 };
    }

    fn observe_empty(&mut self) {
        self.empty += 1;
        let first = self.known.is_empty();
        let singles = self.largest < 2;
        match self.empty {
            // It may be a hiccup.
            1 => {}
            _ if first && self.offset == 0 => self.end = Some(End::Proved),
            _ if first || (singles && self.offset > 0) => self.end = Some(End::Unproved),
            2 if self.offset == 0 => {}
            _ if self.offset == 0 => self.end = Some(End::Emptied),
            _ => {
                self.empty = 0;
                self.step_back();
            }
        }
    }

    fn step_back(&mut self) {
        let stride = u64::from(self.limit.saturating_sub(1).max(1)).saturating_mul(1 << self.steps_back.min(40));
        self.steps_back += 1;
        self.offset = self.offset.saturating_sub(stride);
    }

    fn may_end_by(&self, total: Option<u64>, behind: u64) -> bool {
        match self.total {
            Total::OfListing => total == Some(behind),
            // Above an offset, a page's count can't reach as far.
            Total::Open => self.offset > 0 && total == Some(behind),
            Total::OfPage => false,
        }
    }

    fn knows(&self, id: &Identity) -> bool {
        self.known.contains(id) || self.anew.as_ref().is_some_and(|anew| anew.contains(id))
    }
}

/// The identities given last, a bounded number of them.
#[derive(Debug, Default)]
struct Known {
    set: HashSet<Identity>,
    order: VecDeque<Identity>,
}

impl Known {
    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn contains(&self, id: &Identity) -> bool {
        self.set.contains(id)
    }

    fn add(&mut self, id: Identity) {
        if self.set.insert(id.clone()) {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }

    fn into_order(self) -> VecDeque<Identity> {
        self.order
    }
}
