//! Whether parts that were scanned twice hold the same records.

use crate::cursor::sequence::Set;
use crate::page::split::{Merged, PartRead};
use crate::page::summary::{Doubt, Proof, Verdict};

impl PartRead {
    /// Returns the records of this run and the one behind it that both have, if their offsets say the same.
    fn shared(&self, next: &Self) -> Option<Set> {
        let overlap = self.overlap(next)?;
        let mut shared = Set::default();
        let keys = self.last.iter().rev().take(usize::try_from(overlap).ok()?);
        keys.for_each(|key| shared.add(key.fingerprint()));
        (self.to.checked_sub(overlap)? == next.from).then_some(shared)
    }
}

/// Returns the records of a chain from the head to the end, if none was seen to move.
pub(super) fn records(chain: &[&PartRead]) -> Option<Set> {
    let is_undisturbed = |read: &PartRead| {
        let is_certain = !matches!(read.doubt, Some(Doubt::SingleRecords | Doubt::Alike | Doubt::EndUnproved));
        is_certain && read.shift == Some(0) && read.late == 0
    };
    let first = chain.first().filter(|_| chain.iter().all(|it| is_undisturbed(it)))?;
    let pairs = chain.windows(2);
    pairs.into_iter().try_fold(first.records, |all, pair| all.joined(pair[1].records, pair[0].shared(pair[1])?))
}

impl Merged {
    /// Verifies these parts by others of the same listing that were scanned after them: the verdict is
    /// [`Complete`](Verdict::Complete) if both saw the same records, and nothing was seen to shift meanwhile.
    ///
    /// This is [`verify`](crate::page::Listing::verify) for a listing that is scanned in parts. It requires a log at
    /// rest: records that come at the head shift all parts, and then the verdict is [`Doubt::ScansDiffer`]. The parts
    /// may be cut elsewhere the second time. [`again`](Self::again) holds what is left to scan of either.
    #[must_use = "the verdict is in the value that this returns"]
    pub fn verified_by(mut self, second: &Self) -> Self {
        self.again.extend(second.again.iter().cloned());
        self.delivered = self.delivered.saturating_add(second.delivered);
        let agree = self.records.is_some() && self.records == second.records;
        self.verdict = match (self.verdict, second.verdict) {
            (verdict @ Verdict::Incomplete(_), _) | (_, verdict @ Verdict::Incomplete(_)) => verdict,
            (verdict @ Verdict::Complete(_), _) => verdict,
            // A total that is trusted counts other records than the parts hold.
            (verdict @ Verdict::Unverified(Doubt::TotalDiffers), _) => verdict,
            _ if agree => Verdict::Complete(Proof::SecondScan),
            _ => Verdict::Unverified(Doubt::ScansDiffer),
        };
        self
    }
}
