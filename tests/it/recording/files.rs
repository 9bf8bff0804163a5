//! The file of a recording: what is wrong with one is reported, and an old one is replaced as a whole.

use actionlog::testing::FakeServer;
use actionlog::testing::recording::{Playback, Recorder, RecordingError};

use super::{File, pages};

fn open(file: &File, text: impl AsRef<[u8]>) -> Result<Playback, RecordingError> {
    std::fs::write(&file.0, text).unwrap();
    Playback::open(&file.0)
}

/// The number and the reason of a line that can't be read.
fn corrupt(result: Result<Playback, RecordingError>) -> (usize, String) {
    match result {
        Err(RecordingError::Corrupt { line, reason, .. }) => (line, reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_cut_anywhere_is_not_played() {
    let file = File::new();
    pages(&file).await;
    let text = file.text();
    let whole = text.trim_end().len();
    let step = 997;
    let near_ends = text.match_indices('\n').flat_map(|(at, _)| at.saturating_sub(2)..=at + 2);
    for cut in (0..whole).step_by(step).chain(near_ends).filter(|it| *it < whole) {
        let (line, reason) = corrupt(open(&file, &text.as_bytes()[..cut]));
        assert!(line <= text[..cut].lines().count().max(1), "{cut}: line {line}, {reason}");
    }
    // Without the line break at its end it is whole, and with Windows' line breaks too.
    assert_eq!(open(&file, &text[..whole]).unwrap().remaining(), 4);
    assert_eq!(open(&file, text.replace('\n', "\r\n")).unwrap().remaining(), 4);
    // A line that a merge has lost or repeated.
    let lines: Vec<_> = text.lines().collect();
    let (line, reason) = corrupt(open(&file, [lines[0], lines[1], lines[3], lines[4]].join("\n")));
    assert_eq!((line, &*reason), (4, "is the last of 3 exchanges, and line 1 says 4"));
    let repeated = [&lines[..], &lines[4..]].concat().join("\n");
    assert_eq!(corrupt(open(&file, repeated)).0, 6);
}

#[test]
fn a_file_that_is_no_recording_is_reported_with_the_line() {
    let file = File::new();
    let head = r#"{"actionlog_recording":1,"exchanges":1}"#;
    let line = |request: &str, response: &str| format!("{head}\n{{\"request\":{request},\"response\":{response}}}\n");
    let (get, ok) = (r#"{"method":"GET","target":"/"}"#, r#"{"status":200,"headers":[]}"#);
    assert_eq!(open(&file, line(get, ok)).unwrap().remaining(), 1);
    for (text, line, reason) in [
        (String::new(), 1, "isn't the first line of a recording"),
        ("[]".to_owned(), 1, "isn't the first line of a recording"),
        ("{\"exchanges\":1}".to_owned(), 1, "isn't the first line of a recording"),
        ("{\"actionlog_recording\":1}".to_owned(), 1, "can't be read (missing field `exchanges`)"),
        (line(r#"{"method":"G T","target":"/"}"#, ok), 2, "has an invalid method"),
        (line(get, r#"{"status":99,"headers":[]}"#), 2, "has an invalid status"),
        (line(get, r#"{"status":200,"headers":[["a b","c"]]}"#), 2, "has an invalid header \"a b\""),
        (line(get, r#"{"status":200,"headers":[],"base64":"~"}"#), 2, "has a body that isn't base64"),
        (line(get, r#"{"status":200,"headers":[],"text":"a","base64":"YQ=="}"#), 2, "has a body in two forms"),
    ] {
        assert_eq!(corrupt(open(&file, &text)), (line, reason.to_owned()), "{text}");
    }
    assert_eq!(corrupt(open(&file, b"{\"actionlog_recording\":1,\"exchanges\":0}\n\xff")).0, 2);
    let error = open(&file, line("{}", ok)).unwrap_err().to_string();
    assert!(error.contains("line 2, is cut, or isn't an exchange") && error.contains("record again"), "{error}");
}

#[test]
fn another_version_is_reported() {
    let file = File::new();
    let error = open(&file, "{\"actionlog_recording\":2,\"other\":true}\n").unwrap_err();
    assert!(matches!(error, RecordingError::Version { found: 2, .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("in version 2 of the format, and this crate reads version 1"), "{message}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_or_written_is_reported_and_stays() {
    let file = File::new();
    let RecordingError::Io(path, error) = Playback::open(&file.0).unwrap_err() else { panic!() };
    assert_eq!((path, error.kind()), (file.0.clone(), std::io::ErrorKind::NotFound));

    let nowhere = file.0.join("no such folder/a.jsonl");
    let error = Recorder::new(FakeServer::new().http_client(), &nowhere).save().unwrap_err();
    assert!(matches!(error, RecordingError::Io(..)) && std::error::Error::source(&error).is_some(), "{error:?}");

    // The temporary file can't be created: the old recording is still there, and whole.
    pages(&file).await;
    let before = file.text();
    let mut temporary = file.0.clone().into_os_string();
    temporary.push(".tmp");
    std::fs::create_dir(&temporary).unwrap();
    let failed = Recorder::new(FakeServer::new().http_client(), &file.0).save();
    std::fs::remove_dir(&temporary).unwrap();
    assert!(matches!(failed, Err(RecordingError::Io(..))), "{failed:?}");
    assert_eq!(file.text(), before);
    // And nothing else is left beside it.
    Recorder::new(FakeServer::new().http_client(), &file.0).save().unwrap();
    assert!(!std::path::Path::new(&temporary).exists());
    assert_eq!(Playback::open(&file.0).unwrap().remaining(), 0);
}
