//! Finds what to change in a file, and writes the file with all changes in it, each behind a switch.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Expr, GenericArgument, ImplItem, Pat, PathArguments, ReturnType, Type, UnOp};

/// One change.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The number by which it is switched on.
    pub id: u32,
    /// The number of its site: that of the site's first mutant.
    pub site: u32,
    /// The numbers of all mutants of its file.
    pub file: Range<u32>,
    /// Where, and what: `FILE | FUNCTION | CHANGE`, without a line, so that it stays the same when others change.
    pub text: String,
}

/// A file with its mutants.
pub struct Mutated {
    /// The source, with a switch at each site.
    pub source: String,
    /// All of its mutants, also those that were left out.
    pub mutants: Vec<Mutant>,
}

/// Writes a file with its mutants, whose numbers begin at `first`. Those in `dropped` are left out.
pub fn mutate(path: &str, source: &str, first: u32, dropped: &HashSet<u32>) -> syn::Result<Mutated> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder {
        path,
        source,
        next: first,
        dropped,
        edits: BTreeMap::new(),
        scope: Vec::new(),
        mutants: Vec::new(),
        seen: BTreeMap::new(),
    };
    finder.visit_file(&file);
    let text = finder.take(0, source.len());
    let all = first..finder.next;
    finder.mutants.iter_mut().for_each(|it| it.file = all.clone());
    Ok(Mutated { source: text, mutants: finder.mutants })
}

struct Finder<'a> {
    path: &'a str,
    source: &'a str,
    next: u32,
    dropped: &'a HashSet<u32>,
    /// What replaces which bytes, by their range. No two overlap: an outer one takes over those within it.
    edits: BTreeMap<(usize, usize), String>,
    /// The types and functions around.
    scope: Vec<String>,
    mutants: Vec<Mutant>,
    /// How often each text came.
    seen: BTreeMap<String, usize>,
}

fn range(span: Span) -> (usize, usize) {
    let range = span.byte_range();
    (range.start, range.end)
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        let is_cfg = it.path().is_ident("cfg")
            && it
                .meta
                .require_list()
                .is_ok_and(|it| it.tokens.to_string().contains("test") && !it.tokens.to_string().contains("testing"));
        is_cfg || it.path().is_ident("test")
    })
}

/// Whether an expression is a chain with a `let` in it, which stays as it is.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(it) => matches!(it.op, BinOp::And(_)) && (has_let(&it.left) || has_let(&it.right)),
        _ => false,
    }
}

/// What an operator is called, and by which others it is replaced.
fn others(op: &BinOp) -> Option<(&'static str, &'static [&'static str])> {
    Some(match op {
        BinOp::Lt(_) => ("lt", &["<=", ">="]),
        BinOp::Le(_) => ("le", &["<", ">"]),
        BinOp::Gt(_) => ("gt", &[">=", "<="]),
        BinOp::Ge(_) => ("ge", &[">", "<"]),
        BinOp::Eq(_) => ("eq", &["!="]),
        BinOp::Ne(_) => ("ne", &["=="]),
        BinOp::And(_) => ("and", &["||"]),
        BinOp::Or(_) => ("or", &["&&"]),
        BinOp::Add(_) => ("add", &["-"]),
        BinOp::Sub(_) => ("sub", &["+"]),
        BinOp::Mul(_) => ("mul", &["/"]),
        BinOp::Div(_) => ("div", &["*"]),
        BinOp::Rem(_) => ("rem", &["/"]),
        BinOp::AddAssign(_) => ("+=", &["-="]),
        BinOp::SubAssign(_) => ("-=", &["+="]),
        BinOp::BitOrAssign(_) => ("|=", &["&="]),
        BinOp::BitAndAssign(_) => ("&=", &["|="]),
        _ => return None,
    })
}

fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() > 70 { text.chars().take(67).chain("...".chars()).collect() } else { text }
}

impl Finder<'_> {
    /// Takes the text between two offsets, with the edits in it.
    fn take(&mut self, begin: usize, end: usize) -> String {
        let keys: Vec<_> = self.edits.range((begin, 0)..).map(|it| *it.0).take_while(|it| it.1 <= end).collect();
        let (mut out, mut at) = (String::new(), begin);
        for key in keys {
            out.push_str(&self.source[at..key.0]);
            out.push_str(&self.edits.remove(&key).unwrap_or_default());
            at = key.1;
        }
        out.push_str(&self.source[at..end]);
        out
    }

    fn take_of(&mut self, node: &impl Spanned) -> String {
        let (begin, end) = range(node.span());
        self.take(begin, end)
    }

    fn original(&self, node: &impl Spanned) -> String {
        let (begin, end) = range(node.span());
        one_line(&self.source[begin..end])
    }

    /// Adds a site with its mutants. Returns its number, and which of them are left out.
    fn site(&mut self, changes: &[String]) -> (u32, Vec<bool>) {
        let site = self.next;
        let mut out = Vec::new();
        for change in changes {
            let id = self.next;
            self.next += 1;
            let mut text = format!("{} | {} | {change}", self.path, self.scope.join("::"));
            let seen = self.seen.entry(text.clone()).or_default();
            *seen += 1;
            if *seen > 1 {
                text.push_str(&format!(" ({seen})"));
            }
            self.mutants.push(Mutant { id, site, file: 0..0, text });
            out.push(self.dropped.contains(&id));
        }
        (site, out)
    }

    /// Replaces a node, in marks by which an error of the compiler is found again.
    fn replace(&mut self, at: (usize, usize), site: u32, text: &str) {
        self.edits.insert(at, format!("/*<{site}*/{text}/*{site}>*/"));
    }

    fn binary(&mut self, it: &syn::ExprBinary) {
        let Some((name, others)) = others(&it.op) else { return };
        if matches!(it.op, BinOp::And(_)) && (has_let(&it.left) || has_let(&it.right)) {
            return;
        }
        let original = self.original(it);
        let op = self.original(&it.op);
        let changes: Vec<_> = others.iter().map(|other| format!("{original}: {op} -> {other}")).collect();
        let (site, dropped) = self.site(&changes);
        if dropped.contains(&true) {
            return;
        }
        let (a, b) = (self.take_of(&it.left), self.take_of(&it.right));
        let on = format!("(crate::mutant::pick({site}, 1) == 1)");
        let text = match name {
            "and" => format!("({{ let l: bool = {a}; if l != {on} {{ {b} }} else {{ l }} }})"),
            "or" => format!("({{ let l: bool = {a}; if l == {on} {{ {b} }} else {{ l }} }})"),
            "+=" | "-=" | "|=" | "&=" => {
                format!("(if {on} {{ {a} {} {b}; }} else {{ {a} {name} {b}; }})", others[0])
            }
            "add" | "sub" | "mul" | "div" | "rem" => format!("crate::mutant::{name}({site}, {a}, {b})"),
            _ => format!("crate::mutant::{name}({site}, &({a}), &({b}))"),
        };
        self.replace(range(it.span()), site, &text);
    }

    fn arms(&mut self, it: &syn::ExprMatch) {
        let wildcard = it.arms.last().is_some_and(|it| matches!(it.pat, Pat::Wild(_)) && it.guard.is_none());
        for arm in &it.arms {
            let pattern = self.original(&arm.pat);
            if let Some((_, guard)) = &arm.guard {
                if has_let(guard) {
                    continue;
                }
                let text = self.original(&**guard);
                let changes = [true, false].map(|it| format!("{pattern} if {text}: guard -> {it}"));
                let (site, dropped) = self.site(&changes);
                if dropped.contains(&true) {
                    continue;
                }
                let guard_text = self.take_of(&**guard);
                let text = format!(
                    "(match crate::mutant::pick({site}, 2) {{ 1 => true, 2 => false, _ => {{ {guard_text} }} }})"
                );
                self.replace(range(guard.span()), site, &text);
            } else if wildcard && !matches!(arm.pat, Pat::Wild(_)) {
                let (site, dropped) = self.site(&[format!("{pattern} =>: arm deleted")]);
                if dropped == [false] {
                    let end = range(arm.pat.span()).1;
                    self.replace((end, end), site, &format!(" if crate::mutant::pick({site}, 1) == 0 "));
                }
            }
        }
    }

    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let values = match &signature.output {
            ReturnType::Default if block.stmts.is_empty() => return,
            ReturnType::Default => vec![String::new()],
            ReturnType::Type(_, it) => values(it),
        };
        let original: String = {
            let (begin, end) = range(block.span());
            self.source[begin + 1..end - 1].split_whitespace().collect()
        };
        // What the body is already.
        let values: Vec<_> =
            values.into_iter().filter(|it| it.split_whitespace().collect::<String>() != original).collect();
        if values.is_empty() {
            return;
        }
        let changes: Vec<_> =
            values.iter().map(|it| format!("body -> {}", if it.is_empty() { "()" } else { it })).collect();
        let (site, dropped) = self.site(&changes);
        let mut text = format!(" match crate::mutant::pick({site}, {}) {{", values.len());
        for (index, value) in values.iter().enumerate().filter(|it| !dropped[it.0]) {
            let id = site + index as u32;
            text.push_str(&format!(" /*<{id}*/{} => return {value},/*{id}>*/", index + 1));
        }
        text.push_str(" _ => {} }");
        let begin = range(block.span()).0 + 1;
        self.edits.insert((begin, begin), text);
    }

    fn function(&mut self, attributes: &[Attribute], signature: &syn::Signature, block: &syn::Block) {
        if is_test(attributes) || signature.constness.is_some() {
            return;
        }
        self.scope.push(signature.ident.to_string());
        self.visit_block(block);
        self.body(signature, block);
        self.scope.pop();
    }
}

/// Values of a type that a body may return instead. What doesn't compile is left out later.
fn values(of: &Type) -> Vec<String> {
    let own = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    match of {
        Type::Tuple(it) if it.elems.is_empty() => own(&["()"]),
        Type::Reference(it) if matches!(&*it.elem, Type::Path(it) if it.path.is_ident("str")) => {
            own(&["\"\"", "\"xyzzy\""])
        }
        Type::Reference(it) if matches!(&*it.elem, Type::Slice(_)) => own(&["&[]"]),
        Type::Path(it) => {
            let Some(last) = it.path.segments.last() else { return Vec::new() };
            let inner = match &last.arguments {
                PathArguments::AngleBracketed(it) => it.args.iter().find_map(|it| match it {
                    GenericArgument::Type(it) => Some(values(it)),
                    _ => None,
                }),
                _ => None,
            };
            let wrap =
                |with: &str| -> Vec<String> { inner.iter().flatten().map(|it| format!("{with}({it})")).collect() };
            match last.ident.to_string().as_str() {
                "bool" => own(&["true", "false"]),
                "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i32" | "i64" | "isize" => own(&["0", "1"]),
                "String" => own(&["String::new()", "\"xyzzy\".to_owned()"]),
                "Option" => [own(&["None"]), wrap("Some")].concat(),
                "Result" => wrap("Ok"),
                "Poll" => wrap("std::task::Poll::Ready"),
                "Vec" => own(&["Vec::new()"]),
                "Ordering" => own(&["std::cmp::Ordering::Equal"]),
                _ => own(&["Default::default()"]),
            }
        }
        _ => Vec::new(),
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, it: &'ast syn::ItemFn) {
        self.function(&it.attrs, &it.sig, &it.block);
    }

    fn visit_item_mod(&mut self, it: &'ast syn::ItemMod) {
        if !is_test(&it.attrs) {
            visit::visit_item_mod(self, it);
        }
    }

    fn visit_item_impl(&mut self, it: &'ast syn::ItemImpl) {
        let of = it.trait_.as_ref().and_then(|it| it.1.segments.last());
        // What `{:?}` shows is for people.
        if is_test(&it.attrs) || of.is_some_and(|it| it.ident == "Debug") {
            return;
        }
        let name = match &*it.self_ty {
            Type::Path(it) => it.path.segments.last().map_or_else(String::new, |it| it.ident.to_string()),
            other => self.original(other),
        };
        self.scope.push(name);
        for item in &it.items {
            if let ImplItem::Fn(it) = item {
                self.function(&it.attrs, &it.sig, &it.block);
            }
        }
        self.scope.pop();
    }

    fn visit_item_trait(&mut self, it: &'ast syn::ItemTrait) {
        self.scope.push(it.ident.to_string());
        for item in &it.items {
            if let syn::TraitItem::Fn(it) = item
                && let Some(block) = &it.default
            {
                self.function(&it.attrs, &it.sig, block);
            }
        }
        self.scope.pop();
    }

    fn visit_local(&mut self, it: &'ast syn::Local) {
        if !is_test(&it.attrs) {
            visit::visit_local(self, it);
        }
    }

    fn visit_expr_binary(&mut self, it: &'ast syn::ExprBinary) {
        visit::visit_expr_binary(self, it);
        self.binary(it);
    }

    fn visit_expr_unary(&mut self, it: &'ast syn::ExprUnary) {
        visit::visit_expr_unary(self, it);
        if matches!(it.op, UnOp::Not(_)) {
            let (site, dropped) = self.site(&[format!("{}: ! deleted", self.original(it))]);
            if dropped == [false] {
                let value = self.take_of(&*it.expr);
                self.replace(range(it.span()), site, &format!("crate::mutant::not({site}, {value})"));
            }
        }
    }

    fn visit_expr_match(&mut self, it: &'ast syn::ExprMatch) {
        visit::visit_expr_match(self, it);
        self.arms(it);
    }

    fn visit_expr_repeat(&mut self, it: &'ast syn::ExprRepeat) {
        self.visit_expr(&it.expr);
    }

    // Constants, types and patterns can't be switched while the program runs; macros aren't looked into.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_path(&mut self, _: &'ast syn::Path) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_macro(&mut self, _: &'ast syn::Macro) {}
}
