//! A `tracing` subscriber that keeps all spans and events.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;

/// A span, or an event within one.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) target: &'static str,
    pub(crate) name: &'static str,
    pub(crate) level: tracing::Level,
    /// The parent span.
    pub(crate) parent: Option<u64>,
    /// The id of a span.
    pub(crate) id: Option<u64>,
    pub(crate) fields: Fields,
}

impl Recorded {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

/// Keeps everything, at every level and of every target, including those of dependencies.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    recorded: Arc<Mutex<Vec<Recorded>>>,
    open: Arc<Mutex<Vec<u64>>>,
    last: Arc<AtomicU64>,
}

impl Recorder {
    /// Records the spans and events of this thread, until the returned guard is dropped.
    pub(crate) fn listen(&self) -> impl Sized + use<> {
        // With a single subscriber, tracing caches whether a span is enabled by the first thread that reaches it: on
        // the thread of another test it isn't.
        let another = tracing::Dispatch::new(Self::default());
        (tracing::subscriber::set_default(self.clone()), another)
    }

    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        self.recorded.lock().unwrap().clone()
    }

    /// The spans and events of this crate, in order.
    pub(crate) fn own(&self) -> Vec<Recorded> {
        self.recorded().into_iter().filter(|it| it.target == "actionlog").collect()
    }

    /// All of it as a string, except for what `h2` logs of a GOAWAY at its lower levels: everything that the server
    /// wrote.
    pub(crate) fn text(&self) -> String {
        let of_server = |recorded: &&Recorded| {
            recorded.target.starts_with("h2::") && recorded.fields.values().any(|it| it.contains("GoAway"))
        };
        let recorded = self.recorded();
        recorded.iter().filter(|recorded| !of_server(recorded)).fold(String::new(), |mut out, recorded| {
            writeln!(out, "{} {} {:?}", recorded.target, recorded.name, recorded.fields).unwrap();
            out
        })
    }

    fn keep(&self, metadata: &'static Metadata<'static>, id: Option<u64>, parent: Option<u64>, fields: Fields) {
        let parent = parent.or_else(|| self.open.lock().unwrap().last().copied());
        let (target, name, level) = (metadata.target(), metadata.name(), *metadata.level());
        self.recorded.lock().unwrap().push(Recorded { target, name, level, parent, id, fields });
    }
}

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let mut fields = Fields::new();
        span.record(&mut Collect(&mut fields));
        self.keep(span.metadata(), Some(id), span.parent().map(Id::into_u64), fields);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut recorded = self.recorded.lock().unwrap();
        let span = recorded.iter_mut().find(|it| it.id == Some(span.into_u64())).unwrap();
        values.record(&mut Collect(&mut span.fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Collect(&mut fields));
        self.keep(event.metadata(), None, event.parent().map(Id::into_u64), fields);
    }

    fn enter(&self, span: &Id) {
        self.open.lock().unwrap().push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut open = self.open.lock().unwrap();
        let at = open.iter().rposition(|it| *it == span.into_u64()).unwrap();
        open.remove(at);
    }
}
