//! Searches for runs of characters that reveal a secret, for many secrets at once.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use zeroize::Zeroizing;

use crate::transport::redact::decoded::Decoded;
use crate::transport::redact::derive::{Part, letters};

/// A run of this many characters of a secret is withheld, whatever the secret's length.
const RUN: usize = 8;

/// Shorter runs occur in other words by chance.
const SHORTEST_RUN: usize = 5;

/// A secret with fewer letters and digits is searched for as a whole.
const SHORT: usize = 8;

/// Words that servers commonly use about credentials. A run inside one of these reveals nothing.
const WORDS: &str = "accesstoken administrator application authenticated authentication authorization authorized \
    bearer \
    client configuration connection cookie credential credentials customer database default development environment \
    example exception expired forbidden generation header identifier instance integration internal invalid manager \
    message missing operation organisation organization passphrase password permission personal private production \
    project refresh request resource response secret server service session signature staging subscription testing \
    unauthenticated unauthorized unleash username webhook";

/// Secrets, prepared for searching.
#[derive(Default)]
pub(super) struct Needles {
    /// Runs by their length, from [`SHORTEST_RUN`] to [`RUN`]. Each is packed into a number, and all are sorted.
    runs: [Zeroizing<Vec<u64>>; RUN - SHORTEST_RUN + 1],
    /// Secrets that are searched for as a whole, in lower case.
    whole: Vec<Zeroizing<String>>,
    /// All secrets, by their letters.
    letters: Vec<Zeroizing<Vec<u8>>>,
    /// Whether non-ASCII letters count.
    wide: bool,
}

impl Needles {
    pub(super) fn of(parts: &[Part]) -> Self {
        let mut needles = Self::default();
        let words = words();
        for part in parts {
            // A server may show the decoded form of a secret that is itself encoded.
            for (round, view) in Decoded::of(&part.text).views.iter().enumerate() {
                needles.add(view, if round == 0 { part.name } else { 0 }, &words);
            }
            for coded in coded(&part.text) {
                needles.add_coded(&coded, part, &words);
            }
        }
        for runs in &mut needles.runs {
            runs.sort_unstable();
            runs.dedup();
        }
        needles
    }

    /// Adds a secret whose first `name` bytes are a name.
    fn add(&mut self, text: &str, name: usize, words: &BTreeSet<u64>) {
        let text = text.trim();
        let mut added = self.add_runs(&fold(text, false), letters(text.get(..name).unwrap_or_default()), words);
        if !text.is_ascii() {
            self.wide = true;
            added |= self.add_runs(&fold(text, true), 0, words);
        }
        if text.contains(char::is_whitespace) {
            let joined: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
            added |= self.add_runs(&fold(&joined, false), 0, words);
        }
        if !added {
            self.add_whole(text.get(name..).unwrap_or(text));
        }
    }

    fn add_whole(&mut self, text: &str) {
        if !text.is_empty() {
            self.whole.push(Zeroizing::new(text.to_lowercase()));
        }
    }

    /// Adds an encoded form of a secret. No more of it may be shown than of the plain form.
    fn add_coded(&mut self, coded: &str, part: &Part, words: &BTreeSet<u64>) {
        let own = letters(part.text.get(part.name..).unwrap_or_default());
        // The number of base64 letters that a run certainly produces, at any alignment.
        let length = (8 * too_many_of(own) - 5) / 6;
        let folded = fold(coded, false);
        if own < SHORT || !self.add_runs_of(length.min(RUN), &folded, 0, words) {
            self.add_whole(coded);
        }
    }

    /// Adds the runs of a secret whose first `name` letters are a name. Returns whether any were added.
    fn add_runs(&mut self, secret: &[u8], name: usize, words: &BTreeSet<u64>) -> bool {
        self.letters.push(Zeroizing::new(secret[name.min(secret.len())..].to_vec()));
        let own = secret.len().saturating_sub(name);
        if own < SHORT {
            return false;
        }
        self.add_runs_of(too_many_of(own), secret, name, words)
    }

    fn add_runs_of(&mut self, length: usize, secret: &[u8], name: usize, words: &BTreeSet<u64>) -> bool {
        let runs = &mut self.runs[length - SHORTEST_RUN];
        let before = runs.len();
        for (at, run) in secret.windows(length).enumerate() {
            // A run that mostly consists of the name doesn't reveal the secret.
            let of_name = name.saturating_sub(at);
            let packed = pack(run);
            let varied = run.iter().any(|it| *it != run[0] && *it != run[length - 1]);
            if of_name + 4 <= length && varied && !words.contains(&packed) {
                runs.push(packed);
            }
        }
        runs.len() > before
    }

    /// Whether a string, or anything that it decodes to, contains a part of a secret.
    pub(super) fn show_in(&self, text: &str) -> bool {
        let decoded = Decoded::of(text);
        decoded.unfinished || decoded.views.iter().any(|it| self.show_as_they_are(it))
    }

    fn show_as_they_are(&self, text: &str) -> bool {
        let in_letters = |text: &[u8]| {
            (SHORTEST_RUN..=RUN)
                .zip(&self.runs)
                .filter(|it| !it.1.is_empty())
                .any(|(length, runs)| text.windows(length).any(|run| runs.binary_search(&pack(run)).is_ok()))
        };
        in_letters(&fold(text, false))
            || (self.wide && in_letters(&fold(text, true)))
            || spelled(text).is_some_and(|it| in_letters(&fold(&it, false)))
            || self.whole_in(text)
    }

    fn whole_in(&self, text: &str) -> bool {
        if self.whole.is_empty() {
            return false;
        }
        let text = Zeroizing::new(text.to_lowercase());
        self.whole.iter().any(|secret| {
            // A short or purely alphabetic secret may occur inside other words, so it must match as a whole word.
            let alone = secret.chars().count() < 5 || secret.chars().all(char::is_alphabetic);
            text.match_indices(secret.as_str()).any(|(at, _)| {
                let beside = [text[..at].chars().next_back(), text[at + secret.len()..].chars().next()];
                !alone || !beside.into_iter().flatten().any(char::is_alphanumeric)
            })
        })
    }

    /// Whether a word is the start of a secret, with at least 4 characters.
    pub(super) fn begin_with(&self, word: &str) -> bool {
        Decoded::of(word).views.iter().any(|it| {
            let word = fold(it, false);
            word.len() >= 4 && self.letters.iter().any(|it| it.starts_with(&word))
        })
    }
}

/// The length of a run that reveals a secret with this many letters.
fn too_many_of(letters: usize) -> usize {
    (letters / 2 + 1).clamp(SHORTEST_RUN, RUN)
}

/// Normalizes a string to lower-case letters and digits, with one blank for any whitespace. Punctuation that a server
/// adds or replaces makes no difference, nor do letters that its charset lacks.
fn fold(text: &str, wide: bool) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    for it in text.chars() {
        if it.is_ascii_alphanumeric() {
            out.push(it.to_ascii_lowercase() as u8);
        } else if it.is_whitespace() {
            if out.last().is_some_and(|it| *it != b' ') {
                out.push(b' ');
            }
        } else if wide && it.is_alphanumeric() {
            let mut bytes = [0; 4];
            it.to_lowercase().for_each(|it| out.extend_from_slice(it.encode_utf8(&mut bytes).as_bytes()));
        }
    }
    out
}

/// The string without the blanks between single characters and pairs of them, as hex dumps have them: `4b 33 79`.
/// `None` if there are no three of these in a row.
fn spelled(text: &str) -> Option<Zeroizing<String>> {
    let is_short = |it: &str| it.chars().filter(|it| it.is_alphanumeric()).take(3).count() <= 2;
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let (mut before, mut longest) = (0, 0);
    for word in text.split_whitespace() {
        let is_short = is_short(word);
        if !is_short || before == 0 {
            out.push(' ');
        }
        before = if is_short { before + 1 } else { 0 };
        longest = longest.max(before);
        out.push_str(word);
    }
    (longest >= 3).then_some(out)
}

/// Packs a run of at most eight bytes, none of which is 0, into a number.
fn pack(run: &[u8]) -> u64 {
    run.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The runs in [`WORDS`].
fn words() -> BTreeSet<u64> {
    let words = WORDS.split_whitespace().map(str::as_bytes);
    words.flat_map(|word| (SHORTEST_RUN..=RUN).flat_map(|length| word.windows(length)).map(pack)).collect()
}

/// A secret in base64, at each alignment within the encoded data, and in hexadecimal digits.
fn coded(text: &str) -> Vec<Zeroizing<String>> {
    let mut bytes = vec![Zeroizing::new(text.as_bytes().to_vec())];
    if !text.is_ascii()
        && let Ok(narrow) = text.chars().map(|it| u8::try_from(u32::from(it))).collect()
    {
        bytes.push(Zeroizing::new(narrow));
    }
    bytes.retain(|it| it.len() >= 4);
    let mut out = Vec::new();
    for bytes in bytes {
        for before in 0..3 {
            let padded = Zeroizing::new([&vec![0; before][..], &bytes].concat());
            let coded = Zeroizing::new(BASE64.encode(&*padded));
            // The first and last letters may encode bits of the neighbouring data.
            let first = if before == 0 { 0 } else { before + 1 };
            let last = coded.len() - usize::from(padded.len() % 3 != 0);
            out.push(Zeroizing::new(coded[first..last].to_owned()));
        }
        if bytes.len() >= 6 {
            out.push(Zeroizing::new(bytes.iter().map(|it| format!("{it:02x}")).collect()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret, the first `name` bytes of which are a name.
    fn named(text: &str, name: usize) -> Needles {
        Needles::of(&[Part { text: Zeroizing::new(text.to_owned()), name }])
    }

    fn secret(text: &str) -> Needles {
        named(text, 0)
    }

    #[test]
    fn more_than_half_of_a_secret_reveals_it_or_eight_letters_of_a_long_one() {
        let letters = "q7x2m9k4w8z3v6b5";
        for (length, run) in [(8, 5), (9, 5), (10, 6), (11, 6), (12, 7), (13, 7), (14, 8), (16, 8)] {
            let needles = secret(&letters[..length]);
            for at in 0..=length - run {
                assert!(needles.show_in(&letters[at..at + run]), "{run} of {length} from {at}");
                assert!(!needles.show_in(&letters[at..at + run - 1]), "{run} of {length} from {at}");
            }
        }
        // A shorter one is searched for as a whole.
        let short = secret(&letters[..7]);
        assert!(short.show_in("is q7x2m9k it?") && !short.show_in("q7x2m9"));
    }

    #[test]
    fn as_much_of_an_encoded_secret_reveals_it() {
        // Five letters of eight are seven in base64, of which five are certain at any alignment.
        let needles = secret("q7x2m9k4");
        assert!(needles.show_in("cTd4M") && !needles.show_in("cTd4"));
        assert!(needles.show_in("37783") && !needles.show_in("3778"), "in hexadecimal digits");
        // Where it has no run that shows anything, the whole.
        let needles = secret("UUUUUUUU");
        assert!(needles.show_in("5555555555555555") && !needles.show_in("555555555555555"));
    }

    #[test]
    fn a_secret_is_encoded_at_each_alignment_without_the_letters_that_others_share() {
        let encoded = |text| coded(text).iter().map(|it| it.to_string()).collect::<Vec<_>>();
        let all = ["cTd4Mm05az", "E3eDJtOWs0", "xN3gybTlrN", "713778326d396b34"];
        assert_eq!(encoded("q7x2m9k4"), all);
        // Too few bytes show nothing in another form.
        assert_eq!([3, 4, 5, 6].map(|it| encoded(&"q7x2m9"[..it]).len()), [0, 3, 3, 4]);
        // Also in the charset of older servers.
        assert_eq!((encoded("pässwort").len(), encoded("passwörd")[7].as_str()), (8, "7061737377f67264"));
        assert_eq!(encoded("пароль").len(), 4);
    }

    #[test]
    fn a_run_of_two_letters_reveals_nothing_and_the_whole_secret_does() {
        let needles = secret("abababababababab");
        assert!(!needles.show_in("abababab") && !needles.show_in("xabababababababab"));
        assert!(needles.show_in("a abababababababab b"));
        assert!(secret("aaaaaaaXaaaaaaaa").show_in("aaaXaaaa"));
    }

    #[test]
    fn a_run_reveals_a_secret_behind_a_name_if_four_of_its_letters_are_the_secrets() {
        let needles = named("prod:q7x2m9k4w8", 5);
        assert!(needles.show_in("odq7x2") && needles.show_in("m9k4w8"));
        assert!(!needles.show_in("prodq7") && !needles.show_in("rodq7x"));
        // The name's length is that of the text as it was written: decoded, there is none.
        assert!(named("p%72od:q7x2m9k4w8", 7).show_in("prodq7x2"));
    }

    #[test]
    fn letters_of_any_script_count_where_a_secret_has_them() {
        let needles = secret("пароль-секрет");
        assert!(needles.show_in("роль") && needles.show_in("СЕКР") && !needles.show_in("рол"));
        // Where it has none they may stand between its letters.
        assert!(secret("q7x2m9k4").show_in("qé7éxé2ém"));
    }

    #[test]
    fn a_secret_with_blanks_is_found_without_them_and_one_that_is_spelled_out_is_found_too() {
        let needles = secret("q7x2 m9k4 w8z3");
        assert!(needles.show_in("x2m9k4w8") && needles.show_in("q7x2\n  m9k"));
        assert!(secret("q7x2m9k4").show_in("q7 x2 m9") && !secret("q7x2m9k4").show_in("q7x 2m9 k4"));
    }

    #[test]
    fn runs_of_common_words_reveal_nothing() {
        let needles = secret("authorization-q7x2m9k4");
        assert!(!needles.show_in("authorization") && needles.show_in("q7x2m9k4"));
    }

    #[test]
    fn a_short_or_alphabetic_secret_is_found_as_a_word() {
        for (text, alone) in [("ab1", true), ("ab12", true), ("ab123", false), ("horse", true)] {
            let needles = secret(text);
            assert!(needles.show_in(&format!("({text})")) && needles.show_in(text), "{text}");
            assert_eq!(needles.show_in(&format!("x{text}")), !alone, "{text}");
            assert_eq!(needles.show_in(&format!("{text}x")), !alone, "{text}");
        }
    }

    #[test]
    fn a_word_is_the_start_of_a_secret_from_four_letters_on() {
        let needles = secret("q7x2m9k4");
        assert!(needles.begin_with("q7x2") && needles.begin_with("Q7-x2m") && needles.begin_with("%717x2"));
        assert!(!needles.begin_with("q7x") && !needles.begin_with("7x2m") && !needles.begin_with("q7x2m9k5"));
        // What follows a name.
        assert!(named("prod:q7x2m9k4w8", 5).begin_with("q7x2") && !named("prod:q7x2m9k4w8", 5).begin_with("prod"));
    }

    #[test]
    fn three_short_words_in_a_row_are_joined() {
        let joined = |text| spelled(text).map(|it| it.trim().to_owned());
        assert_eq!(joined("4b 33 79"), Some("4b3379".to_owned()));
        assert_eq!(joined("see 4b 33 7 there"), Some("see 4b337 there".to_owned()));
        assert_eq!(joined("4b 33 790 4b 33"), None);
        assert_eq!(joined("4b 33"), None);
    }
}
