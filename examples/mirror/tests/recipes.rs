//! The recipes of the chapter `keeping_in_step`: their statements, as they are shown there.
//!
//! PostgreSQL's are run by SQLite, too, which reads them once their parameters are written its way. What only
//! PostgreSQL can show, that the second of two transactions waits, it doesn't show.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actionlog::follow::{Batch, Change, StartFrom};
use actionlog::page::Raw;
use actionlog::testing::FakeServer;
use actionlog::unleash::ActionSetEvent;
use actionlog::{LogRecord, UnleashClient};
use rusqlite::{Connection, OptionalExtension, params};

const CHAPTER: &str = include_str!("../../../src/keeping_in_step.md");

/// The statements of a recipe, in their order.
struct Recipe {
    statements: Vec<String>,
}

impl Recipe {
    fn of(section: &str) -> Self {
        let (_, text) = CHAPTER.split_once(&format!("\n## {section}\n")).unwrap();
        let (_, text) = text.split_once("```sql\n").unwrap();
        let (text, _) = text.split_once("```").unwrap();
        let lines: Vec<_> = text.lines().filter(|it| !it.starts_with("--")).collect();
        let text = lines.join("\n").replace('$', "?");
        let statements = text.split(';').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        Self { statements: statements.collect() }
    }

    /// The statement that begins like this. There is one.
    fn get(&self, begin: &str) -> &str {
        let found: Vec<_> = self.statements.iter().filter(|it| it.starts_with(begin)).collect();
        assert_eq!(found.len(), 1, "{begin}");
        found[0]
    }

    fn create(&self, path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        for table in ["CREATE TABLE records", "CREATE TABLE checkpoints"] {
            connection.execute_batch(self.get(table)).unwrap();
        }
        connection
    }
}

/// A follower of one log, as a caller writes it by the recipe.
struct Copy<'a> {
    recipe: &'a Recipe,
    connection: Connection,
    /// The version that this run read or wrote last.
    version: Option<i64>,
}

impl<'a> Copy<'a> {
    /// Begins a run.
    fn open(recipe: &'a Recipe, connection: Connection) -> (Self, StartFrom) {
        let values = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
        let stored = connection.query_row(recipe.get("SELECT"), ["log"], values).optional().unwrap();
        let version = stored.as_ref().map(|it| it.1);
        let start = stored.map_or(StartFrom::Beginning, |it| StartFrom::Checkpoint(it.0.parse().unwrap()));
        (Self { recipe, connection, version }, start)
    }

    /// Whether the checkpoint was saved; if it wasn't, all is rolled back.
    fn apply(&mut self, batch: &Batch<Raw<ActionSetEvent>>) -> bool {
        let run = |begin: &str, values: &[&dyn rusqlite::ToSql]| {
            self.connection.execute(self.recipe.get(begin), values).unwrap()
        };
        run("BEGIN", &[]);
        let text = batch.checkpoint.to_string();
        let rows = match self.version {
            None => run("INSERT INTO checkpoints", params!["log", text]),
            Some(version) => run("UPDATE checkpoints", params!["log", text, version]),
        };
        for change in &batch.changes {
            match change {
                Change::New(it) | Change::Late(it) | Change::Updated(it) => {
                    run("INSERT INTO records", params!["log", it.key().to_string(), it.raw().as_str()]);
                }
                Change::Removed(key) => drop(run("DELETE", params!["log", key.to_string()])),
                other => panic!("{other:?}"),
            }
        }
        if rows == 0 {
            self.connection.execute_batch("ROLLBACK").unwrap();
            return false;
        }
        run("COMMIT", &[]);
        self.version = Some(self.version.map_or(1, |it| it + 1));
        true
    }

    fn raw(&self) -> Vec<String> {
        let mut select = self.connection.prepare("SELECT raw FROM records ORDER BY id").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

/// Reads what there is from `start` on, and two sweeps: each batch until then.
async fn batches(server: &FakeServer, start: StartFrom) -> Vec<Batch<Raw<ActionSetEvent>>> {
    let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let listing = client.build().unwrap().action_set_events().list(("default", 1)).page_size(10).with_raw();
    let mut follow = listing.follow().start_from(start).sweep_interval(Duration::from_secs(10));
    let end = tokio::time::Instant::now() + Duration::from_secs(120);
    let mut batches = Vec::new();
    while tokio::time::Instant::now() < end {
        batches.push(follow.next().await.unwrap().unwrap());
    }
    batches
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("actionlog-recipe-{name}-{}.sqlite", std::process::id()))
}

fn raw(server: &FakeServer) -> Vec<String> {
    let mut raw = server.unleash().log("default", 1).raw_records();
    // By id, as a column of text sorts it.
    raw.sort_by_key(|it| actionlog::serde_json::from_str::<ActionSetEvent>(it).unwrap().id.to_string());
    raw
}

async fn keeps_a_copy(section: &str) {
    let (recipe, path, server) = (Recipe::of(section), path(section), FakeServer::new());
    server.unleash().add_sample_events("default", 1, 25);
    let (mut copy, start) = Copy::open(&recipe, recipe.create(&path));
    for batch in batches(&server, start).await {
        assert!(copy.apply(&batch));
    }
    assert_eq!(copy.raw(), raw(&server));
    drop(copy);

    // Another run, which finds a new record, one that has changed, and one that is gone.
    let log = server.unleash().log("default", 1);
    server.unleash().add_sample_events("default", 1, 1);
    log.remove(7);
    log.replace(3, log.raw_records()[3].replacen('{', r#"{"revision":2,"#, 1));
    let (mut copy, start) = Copy::open(&recipe, Connection::open(&path).unwrap());
    for batch in batches(&server, start).await {
        assert!(copy.apply(&batch));
    }
    assert_eq!(copy.raw(), raw(&server));
    drop(copy);

    lets_one_write(&recipe, &path, &server).await;
    std::fs::remove_file(&path).unwrap();
}

/// Followers that don't go on from what is stored write nothing.
async fn lets_one_write(recipe: &Recipe, path: &Path, server: &FakeServer) {
    // Two runs begin at the same checkpoint, and the first one saves another.
    let (mut one, start) = Copy::open(recipe, Connection::open(path).unwrap());
    let (mut other, _) = Copy::open(recipe, Connection::open(path).unwrap());
    server.unleash().add_sample_events("default", 1, 1);
    let batch = batches(server, start).await.swap_remove(0);
    let without_changes = batches(server, StartFrom::Latest).await.swap_remove(0);
    assert_eq!((batch.changes.len(), without_changes.changes.len()), (1, 0));
    assert!(one.apply(&without_changes));
    assert!(!other.apply(&batch));

    // Another one began when there was no checkpoint.
    let connection = Connection::open(path).unwrap();
    let mut third = Copy { recipe, connection, version: None };
    assert!(!third.apply(&batch));

    let (after, start) = Copy::open(recipe, third.connection);
    assert_eq!((after.raw().len(), start), (25, StartFrom::Checkpoint(without_changes.checkpoint)));
    // Where the row was removed, it is unknown what it said.
    after.connection.execute("DELETE FROM checkpoints", []).unwrap();
    assert!(!one.apply(&batch));
}

#[tokio::test(start_paused = true)]
async fn the_recipe_for_sqlite_keeps_a_copy_and_lets_no_second_follower_write() {
    keeps_a_copy("SQLite").await;
}

#[tokio::test(start_paused = true)]
async fn the_recipe_for_postgresql_keeps_a_copy_and_lets_no_second_follower_write() {
    keeps_a_copy("PostgreSQL").await;
}

#[test]
fn no_statement_of_the_recipes_goes_untested() {
    for section in ["SQLite", "PostgreSQL"] {
        let recipe = Recipe::of(section);
        let begins = recipe.statements.iter().map(|it| it.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
        let expected = [
            "CREATE TABLE records",
            "CREATE TABLE checkpoints",
            "SELECT checkpoint, version",
            if section == "SQLite" { "BEGIN IMMEDIATE" } else { "BEGIN" },
            "INSERT INTO checkpoints",
            "UPDATE checkpoints SET",
            "INSERT INTO records",
            "DELETE FROM records",
            "COMMIT",
        ];
        assert_eq!(begins.collect::<Vec<_>>(), expected, "{section}");
    }
}
