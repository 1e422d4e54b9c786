//! The reference: walks a tree, and follows every path step by step.
//!
//! Shares nothing with the rewriter except the type of paths. It writes a tree as a document with random space and
//! escapes and, at the same time, the output that the rewriter must make of that document, byte for byte.

use proptest::{prelude::*, sample::Index};

use crate::bounds::VALUE_BYTES_MAX;
use crate::model::{FieldPath, PathSelector, PathStep};
use crate::pii::{Replacement, SelectedValue, Transform, ValueKind, ValueType, json::TreatedPath};

use super::{Log, Show};

/// A document; members may repeat.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Text(String),
    Number(String),
    Word(&'static str),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

const NAMES: [&str; 8] = ["a", "b", "email", "größe", "token", "id", "", "a b"];

pub(super) fn tree() -> impl Strategy<Value = Tree> {
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        3 => any::<String>().prop_map(Tree::Text),
        1 => "[a-z\"\\\\/é😀]{0,90}".prop_map(Tree::Text),
        2 => number.prop_map(Tree::Number),
        1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(Tree::Word),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::Array),
            2 => prop::collection::vec((name(), inner), 0..8).prop_map(Tree::Object),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => prop::sample::select(&NAMES[..]).prop_map(str::to_uppercase),
        1 => Just("to\u{212A}en".to_owned()),
        1 => any::<String>(),
    ]
}

pub(super) fn field_path() -> impl Strategy<Value = FieldPath> {
    let listed = || prop::sample::select(&NAMES[..]).prop_map(|name| serde_json::Value::from(name).to_string());
    let step = prop_oneof![
        4 => listed().prop_map(|name| format!("[{name}]")),
        2 => listed().prop_map(|name| format!("..[{name}]")),
        3 => Just("[*]".to_owned()),
        1 => Just(".*".to_owned()),
        1 => Just("..*".to_owned()),
        1 => (0..4_u32).prop_map(|index| format!("[{index}]")),
        1 => (0..3_u32).prop_map(|index| format!("..[{index}]")),
    ];
    prop::collection::vec(step, 0..4).prop_map(|steps| super::path(&format!("${}", steps.concat())))
}

pub(super) fn target() -> impl Strategy<Value = TreatedPath> {
    let types =
        [ValueType::String, ValueType::Number, ValueType::Boolean, ValueType::Object, ValueType::Array].map(Some);
    let only_type = prop_oneof![3 => Just(None), 2 => prop::sample::select(types.to_vec())];
    (field_path(), 0..10_usize, only_type).prop_map(|(path, rule, only_type)| TreatedPath { path, rule, only_type })
}

/// One random set of rules.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) treat: Vec<TreatedPath>,
    pub(super) only: Option<Vec<FieldPath>>,
    pub(super) records: Option<FieldPath>,
    pub(super) subject: Option<FieldPath>,
}

pub(super) fn rules() -> impl Strategy<Value = Rules> {
    let only = prop::option::weighted(0.25, prop::collection::vec(field_path(), 0..4));
    let parts =
        (prop::collection::vec(target(), 0..4), only, prop::option::of(field_path()), prop::option::of(field_path()));
    parts.prop_map(|(treat, only, records, subject)| Rules { treat, only, records, subject })
}

/// One step of the way from the root to a value.
#[derive(Clone)]
enum Edge {
    Member(String),
    Element(u32),
}

/// Writes a document, and what must become of it.
pub(super) struct Writer<'a> {
    rules: &'a Rules,
    chance: &'a [Index],
    drawn: usize,
    pub(super) input: String,
    pub(super) expected: String,
    pub(super) log: Log,
    way: Vec<Edge>,
    /// The deepest place on the records' path that a value, and a null, stood at; from 1.
    reached: [usize; 2],
    /// Within a container that identifies a subject as a whole.
    in_subject: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn write(tree: &Tree, rules: &'a Rules, chance: &'a [Index]) -> Self {
        let mut writer = Self {
            rules,
            chance,
            drawn: 0,
            input: String::new(),
            expected: String::new(),
            log: Log::default(),
            way: vec![],
            reached: [0; 2],
            in_subject: false,
        };
        let space = writer.space();
        writer.input.push_str(&space);
        let (raw, made) = writer.value(tree, true);
        writer.input.push_str(&raw);
        writer.log.misshapen |= writer.way_is_lost();
        writer.expected = format!("{space}{}", made.unwrap_or_else(|| "null".to_owned()));
        writer
    }

    /// A value's text, and what takes its place: nothing if it is left out. `counted` when it is not inside a value
    /// that is left out or replaced.
    fn value(&mut self, tree: &Tree, counted: bool) -> (String, Option<String>) {
        let raw_scalar = match tree {
            Tree::Text(text) => Some(self.quote(text)),
            Tree::Number(text) => Some(text.clone()),
            Tree::Word(text) => Some((*text).to_owned()),
            Tree::Array(_) | Tree::Object(_) => None,
        };
        let choice = if counted { self.choice(tree) } else { None };
        let named = self.rules.subject.as_ref().is_some_and(|path| self.stands_at(path));
        let subject = counted && named && !self.in_subject;
        let drops = choice.is_some_and(|rule| Show.drops_member(rule));
        let stays = !drops && (self.is_kept(tree) || (self.way.is_empty() && raw_scalar.is_none()));
        if counted && stays && self.rules.records.as_ref().is_some_and(|path| self.stands_at(path)) {
            self.log.records += 1;
        }
        if counted {
            self.follow_way(tree, choice.is_some(), drops || !(self.way.is_empty() || self.is_kept(tree)));
        }
        let replaced = !stays || (choice.is_some() && !matches!(tree, Tree::Word("null")));
        let treated_before = self.log.treated.len();
        let (raw, passed) = match raw_scalar {
            Some(raw) => (raw.clone(), raw),
            None => {
                let outside = self.in_subject;
                self.in_subject |= subject;
                let made = self.container(tree, counted && !replaced);
                self.in_subject = outside;
                made
            }
        };
        debug_assert!(!replaced || self.log.treated.len() == treated_before);
        if subject {
            self.tell_subject(tree, &raw);
        }
        let made = match choice {
            Some(rule) if replaced && stays => Some(show(rule, tree)),
            _ => stays.then_some(passed),
        };
        self.log.treated.extend(choice.filter(|_| replaced && (drops || stays)));
        (raw, made)
    }

    fn container(&mut self, tree: &Tree, counted: bool) -> (String, String) {
        let (open, close, parts): (_, _, Vec<(Edge, &Tree)>) = match tree {
            Tree::Object(members) => {
                ('{', '}', members.iter().map(|(name, value)| (Edge::Member(name.clone()), value)).collect())
            }
            Tree::Array(values) => {
                ('[', ']', (0..).zip(values).map(|(index, value)| (Edge::Element(index), value)).collect())
            }
            _ => unreachable!("scalars are no containers"),
        };
        let (mut raw, mut made, mut kept) = (open.to_string(), open.to_string(), 0);
        if parts.is_empty() {
            let space = self.space();
            return (format!("{raw}{space}{close}"), format!("{made}{space}{close}"));
        }
        for (place, (edge, value)) in parts.into_iter().enumerate() {
            let mut lead = self.space();
            if let Edge::Member(name) = &edge {
                lead = format!("{lead}{}{}:{}", self.quote(name), self.space(), self.space());
            }
            self.way.push(edge);
            let (value_raw, value_made) = self.value(value, counted);
            self.way.pop();
            let space = self.space();
            raw.push_str(&format!("{}{lead}{value_raw}{space}", if place > 0 { "," } else { "" }));
            if let Some(text) = value_made {
                made.push_str(&format!("{}{lead}{text}", if kept > 0 { "," } else { "" }));
                kept += 1;
            }
            made.push_str(&space);
        }
        (format!("{raw}{close}"), format!("{made}{close}"))
    }

    /// Whether a value is what the records' path says, and how far the path has come with it.
    fn follow_way(&mut self, tree: &Tree, treated: bool, vanishes: bool) {
        let Some(records) = self.rules.records.as_ref().map(FieldPath::steps) else { return };
        let places = (0..records.len()).filter(|at| is_live(records, *at, &self.way));
        let below = self.rules.treat.iter().map(|target| &target.path).chain(&self.rules.subject);
        let next: Option<Vec<&PathStep>> = if follows(records, &self.way) {
            let open = below.flat_map(|path| {
                let steps = path.steps();
                (0..steps.len()).filter(|at| is_live(steps, *at, &self.way)).map(move |at| (at, &steps[at]))
            });
            let open: Vec<_> = open.filter(|(at, step)| !step.descends || *at >= records.len()).collect();
            (!open.is_empty()).then(|| open.into_iter().map(|(_, step)| step).collect())
        } else {
            let open: Vec<_> = places.clone().map(|at| &records[at]).collect();
            (!open.is_empty() && records.iter().all(|step| !step.descends)).then_some(open)
        };
        let fits = next.is_none_or(|next| match tree {
            Tree::Word("null") => true,
            Tree::Object(_) => next.iter().any(|step| step.crosses(true)),
            Tree::Array(_) => next.iter().any(|step| step.crosses(false)),
            _ => false,
        });
        let fits = fits || treated || vanishes;
        self.log.misshapen |= !fits;
        let Some(place) = places.max().filter(|_| fits) else { return };
        let null = matches!(tree, Tree::Word("null")) && !treated && !vanishes;
        let deepest = if treated || vanishes { records.len() } else { place + 1 };
        self.reached[usize::from(null)] = self.reached[usize::from(null)].max(deepest);
    }

    /// Whether the records' container was nowhere, and nothing on the way to it was empty or null.
    fn way_is_lost(&self) -> bool {
        let (Some(records), [reached, nulls]) = (&self.rules.records, self.reached) else { return false };
        let steps = records.steps();
        let empty = reached > 0 && reached <= steps.len() && steps[reached - 1].is_wildcard();
        reached < steps.len() && !empty && nulls <= reached
    }

    fn tell_subject(&mut self, tree: &Tree, raw: &str) {
        self.log.subjects.push(match tree {
            Tree::Word("null") => return,
            Tree::Text(text) => text.clone(),
            _ => String::from_utf8_lossy(&raw.as_bytes()[..raw.len().min(VALUE_BYTES_MAX)]).into_owned(),
        });
    }

    fn choice(&self, tree: &Tree) -> Option<usize> {
        let fits = |wanted: ValueType| {
            matches!(
                (wanted, tree),
                (ValueType::String, Tree::Text(_))
                    | (ValueType::Number, Tree::Number(_))
                    | (ValueType::Boolean, Tree::Word("true" | "false"))
                    | (ValueType::Object, Tree::Object(_))
                    | (ValueType::Array, Tree::Array(_))
            )
        };
        let mut targets = self.rules.treat.iter();
        targets
            .find(|target| self.stands_at(&target.path) && target.only_type.is_none_or(fits))
            .map(|target| target.rule)
    }

    fn is_kept(&self, tree: &Tree) -> bool {
        let Some(only) = &self.rules.only else { return true };
        let within = |path: &FieldPath| (0..=self.way.len()).any(|up| follows(path.steps(), &self.way[..up]));
        let beyond = |path: &FieldPath| match tree {
            Tree::Object(_) => leads(path.steps(), &self.way, true),
            Tree::Array(_) => leads(path.steps(), &self.way, false),
            _ => false,
        };
        only.iter().any(|path| within(path) || beyond(path))
    }

    fn stands_at(&self, path: &FieldPath) -> bool {
        follows(path.steps(), &self.way)
    }

    fn quote(&mut self, text: &str) -> String {
        let escape = |c: char, how: usize| match how {
            0 => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            _ => serde_json::Value::from(c.to_string()).as_str().map_or_else(String::new, |_| {
                let quoted = serde_json::Value::from(c.to_string()).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }),
        };
        let inner: String = text.chars().map(|c| escape(c, self.draw(9))).collect();
        format!("\"{inner}\"")
    }

    fn space(&mut self) -> String {
        ["", "", "", "", " ", "\n", "\t \r"][self.draw(7)].to_owned()
    }

    fn draw(&mut self, below: usize) -> usize {
        self.drawn += 1;
        self.chance.get(self.drawn % self.chance.len().max(1)).map_or(1, |index| index.index(below))
    }
}

fn show(rule: usize, tree: &Tree) -> String {
    let (kind, text) = match tree {
        Tree::Text(text) => (ValueKind::String, text.as_str()),
        Tree::Number(text) => (ValueKind::Number, text.as_str()),
        Tree::Word(text) => (ValueKind::Boolean, *text),
        Tree::Array(_) | Tree::Object(_) => (ValueKind::Container, ""),
    };
    let mut made = Vec::new();
    let shape =
        Show.transform(rule, SelectedValue { kind, text: text.as_bytes() }, &mut made).expect("Show treats all");
    let made = String::from_utf8(made).expect("utf-8");
    if shape == Replacement::Literal { made } else { serde_json::Value::from(made).to_string() }
}

/// Whether a path selects the end of a way.
fn follows(steps: &[PathStep], way: &[Edge]) -> bool {
    let (Some((step, steps_left)), Some((edge, rest))) = (steps.split_first(), way.split_first()) else {
        return steps.is_empty() && way.is_empty();
    };
    (selects(step, edge) && follows(steps_left, rest)) || (step.descends && follows(steps, rest))
}

/// Whether so many steps lead to the end of a way, or above it when the next one looks at any depth.
fn is_live(steps: &[PathStep], done: usize, way: &[Edge]) -> bool {
    let ends = if steps[done].descends { 0..=way.len() } else { way.len()..=way.len() };
    ends.into_iter().any(|end| follows(&steps[..done], &way[..end]))
}

fn selects(step: &PathStep, edge: &Edge) -> bool {
    match (&step.selector, edge) {
        (PathSelector::Name(name), Edge::Member(at)) => same(name, at),
        (PathSelector::Index(index), Edge::Element(at)) => index == at,
        (PathSelector::Wildcard, _) => true,
        _ => false,
    }
}

/// Whether a path goes on below the end of a way, into a member (or an element).
fn leads(steps: &[PathStep], way: &[Edge], member: bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    let Some((edge, below)) = way.split_first() else {
        let kind = match step.selector {
            PathSelector::Name(_) => member,
            PathSelector::Index(_) => !member,
            PathSelector::Wildcard => true,
        };
        return kind || step.descends;
    };
    (selects(step, edge) && leads(rest, below, member)) || (step.descends && leads(steps, below, member))
}

fn same(listed: &str, name: &str) -> bool {
    let fold = |text: &str| text.replace('\u{17F}', "s").replace('\u{212A}', "k").to_ascii_lowercase();
    fold(listed) == fold(name)
}
