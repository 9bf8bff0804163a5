//! The way up, against the same world.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::integration::SortOrder;
use crate::page::walk::model::world::Changing;
use crate::page::walk::model::{Case, Event, cases, one_empty, runner};
use crate::page::{Stability, TotalScope, Verdict};
use crate::testing::{FakeServer, FakeTotal};

/// A log that is read whole, grows, and is climbed while it changes.
#[derive(Clone, Debug)]
struct Ascent {
    records: u8,
    grown: u8,
    page_size: u32,
    events: Vec<Event>,
    /// What happens before every request, forever.
    steady: Option<Event>,
    /// After how many records the reader stops and goes on from its cursor.
    stop: usize,
    /// What the client was told of the total, which is one, and of the order.
    told: TotalScope,
    told_order: Stability,
    remembered: Option<usize>,
}

/// What an ascent came to.
#[derive(Debug)]
struct Climbed {
    /// What was given in each of the two parts.
    parts: [Vec<u64>; 2],
    verdict: Verdict,
}

impl Ascent {
    async fn climb(&self) -> (Climbed, Arc<Mutex<Changing>>) {
        let case = Case {
            records: self.records,
            page_size: self.page_size,
            order: SortOrder::Desc,
            count: FakeTotal::All,
            jitter: false,
            told: self.told,
            events: Vec::new(),
            steady: None,
            stops: Vec::new(),
            meanwhile: Vec::new(),
            told_order: self.told_order,
            at_once: 1,
            later_size: self.page_size,
            remembered: self.remembered,
            prefetch: 1,
            delays: 0,
        };
        let world = FakeServer::new();
        let (client, changing) = case.client(&world);
        let mut listing = client.logs().list(()).page_size(self.page_size).stability(self.told_order());
        if let Some(remembered) = self.remembered {
            listing = listing.dedup_window(remembered);
        }
        let cursor = listing.clone().collect().await.cursor.unwrap();
        changing.lock().unwrap().grow_for_a_climb(self.grown.into());

        let (mut events, steady, hooked) = (self.events.clone().into_iter(), self.steady, Arc::clone(&changing));
        let mut turn = 0;
        world.before_each(move |world| {
            turn += 1;
            if turn > 1 {
                for event in events.next().into_iter().chain(steady) {
                    hooked.lock().unwrap().apply(world, event);
                }
            }
        });
        // Stopped in the middle, and gone on with from the cursor's text.
        let mut logs = listing.clone().newer_than(cursor).items();
        let mut first = Vec::new();
        while first.len() < self.stop
            && let Some(Ok(log)) = logs.next().await
        {
            first.push(changing.lock().unwrap().give(log.id.get()));
        }
        let cursor = serde_json::to_string(&logs.cursor().unwrap()).unwrap();
        changing.lock().unwrap().begin_part();
        let mut logs = listing.newer_than(serde_json::from_str(&cursor).unwrap()).items();
        let mut rest = Vec::new();
        while let Some(Ok(log)) = logs.next().await
            && rest.len() < 1_000
        {
            rest.push(changing.lock().unwrap().give(log.id.get()));
        }
        (Climbed { parts: [first, rest], verdict: logs.summary().verdict }, changing)
    }

    /// Never that the order is fixed where records move.
    fn told_order(&self) -> Stability {
        let moves = |it: &Event| matches!(it, Event::Move(_) | Event::Unhide);
        if self.events.iter().any(moves) { Stability::Unstable } else { self.told_order }
    }

    fn check(&self, climbed: &Climbed, changing: &Changing) -> Result<(), String> {
        let seen = &changing.seen;
        for part in &climbed.parts {
            let mut sorted = part.clone();
            sorted.sort_unstable();
            // What is forgotten may come again.
            if let Some(twice) = sorted.windows(2).find(|two| two[0] == two[1] && self.remembered.is_none()) {
                return Err(format!("{} was given twice", twice[0]));
            }
        }
        let first_new = u64::from(self.records) + 1;
        let newcomers: Vec<_> = climbed
            .parts
            .concat()
            .into_iter()
            .filter(|it| (first_new..first_new + u64::from(self.grown)).contains(it))
            .collect();
        let calm = !self.events.iter().chain(&self.steady).any(|it| {
            matches!(
                it,
                Event::Delete(..)
                    | Event::Retire(_)
                    | Event::Hide(_)
                    | Event::Move(_)
                    | Event::Unhide
                    | Event::Insert(_)
            )
        });
        if climbed.verdict.is_incomplete() {
            let room = self.page_size > 2 && !seen.lone && !seen.clamped;
            return if calm && room { Err("gave up where nothing went".to_owned()) } else { Ok(()) };
        }
        let missed: Vec<_> =
            changing.throughout.iter().filter(|it| !changing.given.contains(it) && !seen.moved.contains(it)).collect();
        if !missed.is_empty() && seen.excuse_of_a_climb().is_none() {
            return Err(format!("{missed:?} were not given"));
        }
        if calm && missed.is_empty() && !seen.lone && !newcomers.is_sorted() {
            return Err("not the oldest first".to_owned());
        }
        if calm && !seen.lone && climbed.parts.concat().iter().any(|it| *it < first_new) {
            return Err("old ones among them".to_owned());
        }
        Ok(())
    }
}

#[test]
fn what_is_newer_is_given_oldest_first_and_none_of_it_is_missed() {
    let event = prop_oneof![
        8 => Just(Event::Nothing),
        3 => (1..9u8).prop_map(Event::Grow),
        1 => any::<u8>().prop_map(Event::Insert),
        1 => any::<u8>().prop_map(Event::Hide),
        1 => Just(Event::Unhide),
        1 => (any::<u8>(), 1..4u8).prop_map(|(at, count)| Event::Delete(at, count)),
        2 => any::<u8>().prop_map(Event::Move),
        1 => Just(Event::Empty),
        1 => Just(Event::Short),
        2 => (1..8u8).prop_map(Event::Clamp),
        1 => (0..40u8).prop_map(Event::ClampOffset),
    ];
    let events = prop::collection::vec(event, 0..20).prop_map(one_empty);
    let steady = prop_oneof![3 => Just(None), 1 => (1..9u8).prop_map(|it| Some(Event::Grow(it))), 1 => Just(Some(Event::Retire(1)))];
    let told = prop_oneof![Just(TotalScope::Unknown), Just(TotalScope::Listing)];
    let order = prop_oneof![Just(Stability::Unstable), Just(Stability::Stable)];
    let remembered = prop_oneof![2 => Just(None), 1 => (1..40usize).prop_map(Some)];
    let strategy = ((0..40u8, 0..60u8, 1..14u32), (events, steady), 0..20usize, (told, order, remembered));
    let strategy =
        strategy.prop_map(|((records, grown, page_size), (events, steady), stop, (told, told_order, remembered))| {
            // One that grows by as much as a page brings, or of which only the growing part can be reached, has no end.
            let clamps = |it: &Event| matches!(it, Event::Clamp(_) | Event::ClampOffset(_));
            let is_outrun = |it: &Event| match it {
                Event::Grow(count) => u32::from(*count) + 2 > page_size || events.iter().any(clamps),
                _ => false,
            };
            let steady = steady.filter(|it| !is_outrun(it));
            Ascent { records, grown, page_size, events, steady, stop, told, told_order, remembered }
        });
    let cases = cases(1_000);
    let counts = std::cell::Cell::new([0u32; 5]);
    runner(cases)
        .run(&strategy, |ascent| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (climbed, changing) = runtime.block_on(ascent.climb());
            let changing = changing.lock().unwrap();
            let mut seen = counts.get();
            if !climbed.verdict.is_incomplete() {
                seen[0] += 1;
                seen[1] += u32::from(changing.seen.excuse_of_a_climb().is_none());
            }
            seen[2] += u32::from(changing.seen.clamped);
            seen[3] += u32::from(!changing.seen.moved.is_empty());
            seen[4] += u32::from(climbed.parts.iter().all(|it| !it.is_empty()));
            counts.set(seen);
            let checked = ascent.check(&climbed, &changing);
            checked.map_err(|why| TestCaseError::fail(format!("{why}\n{changing:?}\n{climbed:?}")))
        })
        .unwrap();
    let [ended, held, clamped, moved, resumed] = counts.get();
    println!(
        "{cases} climbs: {ended} came to the head, {held} of them were held to skip nothing; \
         {clamped} clamped, {moved} moved, {resumed} resumed"
    );
    for (what, count) in [("a clamp", clamped), ("a move", moved), ("a resume", resumed)] {
        assert!(count >= cases / 5, "only {count} of {cases} climbs have {what}");
    }
    assert!(ended >= cases * 7 / 10, "only {ended} of {cases} climbs came to the head");
    assert!(held >= cases / 3, "only {held} of {cases} climbs were held to skip nothing");
}
