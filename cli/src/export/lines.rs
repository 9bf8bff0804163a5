//! NDJSON and CSV: files that grow line by line.

use std::path::Path;

use actionlog::AnyRecord;
use actionlog::page::Raw;
use actionlog::record::ocsf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::Failure;
use crate::export::sink::{Appended, InvalidFile, Made, Sink, token};
use crate::row::{COLUMNS, InvalidRow, Row, rfc3339};

/// What is on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// A JSON object of all columns.
    Ndjson,
    /// An OCSF event.
    Ocsf,
    /// The columns, behind a line with their names.
    Csv,
}

/// Where an earlier run stopped.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Token {
    length: u64,
    records: u64,
    invalid: (u64, u64),
}

/// A file of lines.
#[derive(Debug)]
pub struct LineSink {
    lines: Lines,
    file: Appended,
    records: u64,
    invalid: InvalidFile,
}

const DATA: &str = "data";

impl LineSink {
    /// Opens the file in the work folder.
    ///
    /// # Errors
    ///
    /// If it can't be opened.
    pub fn open(folder: &Path, lines: Lines, earlier: &Value) -> Result<Self, Failure> {
        let Token { length, records, invalid } = token(earlier)?;
        let mut sink = Self {
            lines,
            file: Appended::open(folder.join(DATA), length)?,
            records,
            invalid: InvalidFile::open(folder, invalid)?,
        };
        if lines == Lines::Csv && length == 0 {
            sink.cells(COLUMNS)?;
        }
        Ok(sink)
    }

    fn cells<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
        let mut line = csv::WriterBuilder::new().from_writer(Vec::new());
        let cells: Vec<_> = cells.into_iter().map(escaped).collect();
        line.write_record(cells.iter().map(|it| it.as_bytes())).map_err(|error| self.file.failed(error))?;
        let bytes = line.into_inner().map_err(|error| self.file.failed(error))?;
        std::io::Write::write_all(&mut self.file, &bytes).map_err(|error| self.file.failed(error))
    }

    fn csv(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let time = row.timestamp.map(rfc3339).unwrap_or_default();
        let took = row.duration_ms.map(|it| it.to_string()).unwrap_or_default();
        let is_final = row.is_final.map(|it| it.to_string()).unwrap_or_default();
        self.cells([
            row.log,
            &row.key,
            &time,
            row.time_meaning.unwrap_or_default(),
            row.outcome,
            row.status.unwrap_or_default(),
            &is_final,
            row.action.unwrap_or_default(),
            row.actor_kind.unwrap_or_default(),
            row.actor_id.as_deref().unwrap_or_default(),
            row.target_kind.unwrap_or_default(),
            row.target_id.as_deref().unwrap_or_default(),
            row.error.unwrap_or_default(),
            &took,
            &row.raw,
        ])
    }
}

/// Returns a cell that no spreadsheet takes for a formula. An apostrophe in front is the sign that one was added, so a
/// cell that begins with one gets another.
fn escaped(cell: &str) -> std::borrow::Cow<'_, str> {
    if cell.starts_with(RUN) || cell.starts_with('\'') { format!("'{cell}").into() } else { cell.into() }
}

/// What a cell begins with that a spreadsheet may run. The last four are the wide forms of the first, which it takes
/// for them in the languages that have them.
const RUN: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Returns the cell that was [escaped](escaped).
#[must_use]
pub fn unescaped(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

impl Sink for LineSink {
    fn write(&mut self, row: &Row<'_>, record: &Raw<AnyRecord>) -> Result<bool, Failure> {
        match self.lines {
            Lines::Csv => self.csv(row)?,
            Lines::Ndjson => {
                let line = row.to_json().map_err(|error| self.file.failed(error))?;
                self.file.line(&line)?;
            }
            Lines::Ocsf => {
                let Some(event) = ocsf::api_activity(record) else {
                    // The class requires a time.
                    let reason = "the record has no time, which OCSF requires";
                    let invalid =
                        InvalidRow { log: row.log, key: Some(&row.key), path: "", reason, raw: row.raw.clone() };
                    return self.invalid.write(&invalid).map(|()| false);
                };
                self.file.line(&event.to_string())?;
            }
        }
        self.records += 1;
        Ok(true)
    }

    fn write_invalid(&mut self, row: &InvalidRow<'_>) -> Result<(), Failure> {
        self.invalid.write(row)
    }

    fn checkpoint(&mut self) -> Result<Value, Failure> {
        let token = Token { length: self.file.sync()?, records: self.records, invalid: self.invalid.sync()? };
        serde_json::to_value(token).map_err(|error| self.file.failed(error))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Made>, Failure> {
        self.checkpoint()?;
        let file = Made::file(DATA, "", self.records);
        Ok(std::iter::once(file).chain(self.invalid.made()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_escaped_and_read_back() {
        let wide = ["\u{ff1d}1", "\u{ff0b}1", "\u{ff0d}1", "\u{ff20}1"];
        let cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''", "plain", "", " =1"];
        for cell in cells.into_iter().chain(wide) {
            let shown = escaped(cell);
            assert!(!shown.starts_with(RUN), "{shown}");
            assert_eq!(shown.starts_with('\''), cell.starts_with(RUN) || cell.starts_with('\''));
            assert_eq!(unescaped(&shown), cell);
        }
    }
}
