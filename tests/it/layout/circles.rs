//! No circles: neither between the modules at the top of `src`, nor between the neighbours in any of its folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::source::{Import, code, imports, without_tests};

/// The path of a module: `["page", "walk"]`. The crate itself is empty.
type Module = Vec<String>;

/// The modules of the crate, and their code without tests.
struct Modules {
    code: BTreeMap<Module, String>,
    /// What each module re-exports: its names, and the paths that they stand for.
    exports: BTreeMap<Module, Vec<Import>>,
}

impl Modules {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut modules = Self { code: BTreeMap::new(), exports: BTreeMap::new() };
        for path in super::files("src") {
            let relative = path.strip_prefix(&root).unwrap().with_extension("");
            let mut module: Module = relative.iter().map(|it| it.to_string_lossy().into_owned()).collect();
            if module.last().is_some_and(|it| it == "mod") || module == ["lib"] {
                module.pop();
            }
            // The files of tests, and the models that the rules are tested against.
            if !module.iter().any(|it| it == "model" || it == "tests") {
                let code = without_tests(&code(&fs::read_to_string(&path).unwrap()));
                modules.exports.insert(module.clone(), exports(&code));
                modules.code.insert(module, code);
            }
        }
        modules
    }

    /// The module that the item at this path is defined in. It follows re-exports.
    fn of(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        for (index, name) in path.iter().enumerate() {
            let inner = [&module[..], std::slice::from_ref(name)].concat();
            if self.code.contains_key(&inner) {
                module = inner;
                continue;
            }
            let export = self.exports[&module].iter().find(|it| it.name == *name);
            let target = export.and_then(|it| match &*it.path[0] {
                "crate" => Some(it.path[1..].to_vec()),
                first if self.code.contains_key(&[&module[..], &[first.to_owned()]].concat()) => {
                    Some([&module[..], &it.path[..]].concat())
                }
                _ => None,
            });
            return target.map_or(module, |it| self.of(&[&it[..], &path[index + 1..]].concat()));
        }
        module
    }

    /// Which modules use which, as pairs.
    fn uses(&self) -> BTreeSet<(Module, Module)> {
        let mut uses = BTreeSet::new();
        for (module, code) in &self.code {
            // A `$crate::` is used where the macro is.
            let starts = code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with('$'));
            let paths = starts.flat_map(|(at, _)| imports(&code[at..]));
            uses.extend(paths.map(|it| (module.clone(), self.of(&it.path[1..]))));
        }
        uses
    }
}

/// What some code re-exports, also to its crate or its parent alone.
fn exports(code: &str) -> Vec<Import> {
    let uses = code.match_indices("use ").filter(|(at, _)| {
        let line = code[..*at].rsplit('\n').next().unwrap_or_default();
        line.trim_start().starts_with("pub") && !line.ends_with(char::is_alphanumeric)
    });
    uses.flat_map(|(at, _)| imports(&code[at + "use ".len()..])).collect()
}

/// Which neighbours in a folder use each other: each with what is in it, and with all that it uses by any way.
fn reached(folder: &[String], uses: &BTreeSet<(Module, Module)>) -> BTreeMap<String, BTreeSet<String>> {
    let mut reached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in uses.iter().filter(|it| it.0.starts_with(folder) && it.1.starts_with(folder)) {
        if let (Some(from), Some(to)) = (from.get(folder.len()), to.get(folder.len()))
            && from != to
        {
            reached.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    loop {
        let further = reached.clone();
        for all in reached.values_mut() {
            let next: Vec<_> = all.iter().filter_map(|it| further.get(it)).flatten().cloned().collect();
            all.extend(next);
        }
        if reached == further {
            return reached;
        }
    }
}

/// The circles of a crate: the folder, and the neighbours in it that use each other.
fn circles(modules: impl Iterator<Item = Module>, uses: &BTreeSet<(Module, Module)>) -> BTreeSet<String> {
    let folders: BTreeSet<Module> = modules.filter_map(|it| Some(it.split_last()?.1.to_vec())).collect();
    let mut circles = BTreeSet::new();
    for folder in folders {
        let reached = reached(&folder, uses);
        for (this, all) in reached.iter().filter(|it| it.1.contains(it.0)) {
            let circle = all.iter().filter(|it| reached.get(*it).is_some_and(|it| it.contains(this)));
            let circle: Vec<_> = circle.cloned().collect();
            circles.insert(format!("{}: {}", folder.join("/"), circle.join(", ")));
        }
    }
    circles
}

#[test]
fn no_two_neighbours_use_each_other_by_any_way() {
    let modules = Modules::read();
    let uses = modules.uses();
    assert!(modules.code.len() > 150 && uses.len() > 600, "{} modules, {} uses", modules.code.len(), uses.len());
    let circles = circles(modules.code.keys().cloned(), &uses);
    assert_eq!(circles, BTreeSet::new(), "{uses:#?}");
}

#[test]
fn a_circle_is_found_at_any_depth_and_through_other_folders_but_a_parent_may_use_its_children() {
    let module = |path: &str| -> Module { path.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect() };
    let found = |pairs: &[(&str, &str)]| {
        let uses: BTreeSet<_> = pairs.iter().map(|it| (module(it.0), module(it.1))).collect();
        circles(uses.iter().flat_map(|it| [it.0.clone(), it.1.clone()]), &uses).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(found(&[("a/b", "a/c"), ("a/c", "d"), ("a", "a/b"), ("a/b", "a")]), [] as [&str; 0]);
    assert_eq!(found(&[("a/b/x", "a/c"), ("a/c", "a/b/y")]), ["a: b, c"]);
    assert_eq!(found(&[("a/b", "c/d"), ("c/e", "f"), ("f", "a")]), [": a, c, f"]);
}

#[test]
fn a_path_leads_to_the_module_that_defines_the_item() {
    let modules = Modules::read();
    let of = |path: &str| modules.of(&path.split("::").map(str::to_owned).collect::<Vec<_>>()).join("/");
    assert_eq!(of("page::RecordKey"), "values/record_key");
    assert_eq!(of("Cursor"), "cursor");
    assert_eq!(of("integration::PendingLog::log"), "integration/pending");
    assert_eq!(of("transport::Transport"), "transport");
    assert_eq!(of("values::open_enum::open_enum"), "values/open_enum");
}
