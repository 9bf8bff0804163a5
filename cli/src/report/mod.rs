//! `actionlog report`: what is in an export, as one page or as tables.

pub mod chart;
pub mod data;
pub mod page;
pub mod read;
mod tables;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::args::ReportArgs;
use crate::context::Context;
use crate::exit::{Failure, Status};
use crate::export::manifest::{Manifest, hash};
use crate::export::target::{is_device, write_atomically};
use crate::report::data::Data;
use crate::report::read::GoOn;

/// How many records are read until the progress is shown again.
const LOOK: u64 = 4_096;

/// An export, as a report shows it.
#[derive(Debug)]
pub struct Report {
    /// The file.
    pub file: String,
    /// What was counted.
    pub data: Data,
    /// Its manifest, if there is one.
    pub manifest: Option<Manifest>,
    /// What doesn't fit the manifest.
    pub problems: Vec<String>,
}

/// Reads an export, and writes the page, or tables to the standard output.
///
/// # Errors
///
/// If the export can't be read, or the page can't be written.
pub fn run(args: &ReportArgs, context: &Context) -> Result<Status, Failure> {
    if let Some(page) = &args.html
        && page.symlink_metadata().is_ok()
        && !is_device(page)
        && !args.force
    {
        return Err(Failure::Error(format!("{} is there already: --force replaces it", page.display())));
    }
    let report = report(&args.file, context)?;
    context.output.end_progress();
    for problem in &report.problems {
        context.output.warn(problem);
    }
    match &args.html {
        Some(page) => {
            write_atomically(page, page::html(&report).as_bytes())?;
            context.output.note(&format!("{}: {} records", page.display(), data::sum(&report.data.total)));
        }
        None => {
            let tables = tables::tables(&report);
            writeln!(anstream::stdout(), "{tables}").map_err(|error| Failure::output(&error))?;
        }
    }
    Ok(status(&report))
}

/// The status is that of the export: a page about records of which some are missing isn't complete either.
fn status(report: &Report) -> Status {
    let verdict = report.manifest.as_ref().map(|it| Status::of(&it.scan.verdict, it.counts.invalid));
    let status = verdict.unwrap_or(Status::Unverified);
    if report.problems.is_empty() && report.data.invalid == 0 { status } else { status.max(Status::Unverified) }
}

fn report(file: &Path, context: &Context) -> Result<Report, Failure> {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let (mut data, mut count) = (Data::default(), 0);
    let go_on = || match context.stop.is_set() {
        true => Err(Failure::Incomplete("stopped before the end: nothing is written".to_owned())),
        false => Ok(()),
    };
    let invalid = read::read(file, &go_on, &mut |fact| {
        count += 1;
        data.note(fact);
        if count % LOOK == 0 {
            context.output.progress(&name, count, None);
        }
    })?;
    data.invalid = invalid;
    let manifest = manifest(file)?;
    let problems = match &manifest {
        Some(manifest) => problems(file, manifest, &data, &go_on)?,
        None => Vec::new(),
    };
    go_on()?;
    Ok(Report { file: name, data, manifest, problems })
}

/// Reads the manifest beside an export, if there is one.
fn manifest(file: &Path) -> Result<Option<Manifest>, Failure> {
    let mut name = file.as_os_str().to_owned();
    name.push(".manifest.json");
    let path = PathBuf::from(name);
    match fs::read(&path) {
        Ok(text) => {
            let parsed = serde_json::from_slice(&text);
            parsed.map(Some).map_err(|error| Failure::file("use", &path, error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file("read", &path, error)),
    }
}

/// Compares an export with its manifest.
fn problems(file: &Path, manifest: &Manifest, data: &Data, go_on: GoOn<'_>) -> Result<Vec<String>, Failure> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    for entry in &manifest.files {
        match hash(&folder.join(&entry.path), || go_on().map_err(io::Error::other)) {
            Ok((_, hash)) if hash == entry.sha256 => {}
            _ if go_on().is_err() => go_on()?,
            Ok(_) => problems.push(format!("{} was changed since the export: its hash differs", entry.path)),
            Err(error) => problems.push(format!("{} of the manifest can't be read: {error}", entry.path)),
        }
    }
    let (read, counted) = (data::sum(&data.total), manifest.counts.records);
    // A record that came twice is one row in SQLite.
    if read != counted && manifest.format != "sqlite" {
        problems.push(format!("the manifest counts {counted} records, and {read} were read"));
    }
    Ok(problems)
}
