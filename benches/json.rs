//! The JSON engine beside other ways of doing its work, on the same buffers in the same run.
//!
//! `cargo bench --bench json` prints the best of interleaved rounds in GB/s, and the ratios that the project promises.
//! Ratios mean something on any machine; the figures themselves only on this one. `-- 256` runs one size only, `-- scan` the contenders of that name.

mod corpus;

use std::{hint::black_box, sync::Arc};

use sonic_rs::{JsonValueMutTrait as _, JsonValueTrait as _};
use vendorgate::{
    model::FieldPath,
    pii::{
        Cut, Rewriter, Shape, Stop, Treat, Value, Watch,
        json::{Engine, JsonRewriter, Matcher, Spec, Target},
    },
};

const ROUNDS: usize = 41;
const CHUNK: usize = 64 * 1024;

/// A contender: its name, and what it does with a body.
type Contender<'a> = (&'static str, Work<'a>);
type Work<'a> = Box<dyn FnMut(&[u8]) -> usize + 'a>;

fn main() {
    let wanted = std::env::args().skip(1).find_map(|arg| arg.parse::<usize>().ok());
    let named = std::env::args().skip(1).find(|arg| !arg.starts_with('-') && arg.parse::<usize>().is_err());
    for kilobytes in [16, 256, 10 * 1024].into_iter().filter(|size| wanted.is_none_or(|wanted| wanted == *size)) {
        let body = corpus::customers(kilobytes * 1024);
        println!("\n{kilobytes} KB, {} records", corpus::records(&body));
        let mut contenders = contenders();
        contenders.retain(|(name, _)| named.as_ref().is_none_or(|named| name.contains(named)));
        let results = measure(&mut contenders, &body);
        let of = |name: &str| results.iter().find(|(other, _)| *other == name).map_or(f64::NAN, |(_, speed)| *speed);
        for (name, speed) in &results {
            let (dom, copy) = (speed / of("sonic-rs DOM parse"), speed / of("memcpy"));
            println!("  {name:<44} {speed:>8.2} GB/s  {dom:>7.2} x DOM  {copy:>6.3} x memcpy");
        }
        for (goal, ours, theirs) in [
            ("scan / sonic-rs DOM parse (>= 1.8)", "scan: 5 paths, records counted", "sonic-rs DOM parse"),
            ("mask / sonic-rs parse, change, serialize (>= 5)", "5 values masked", "sonic-rs parse, change, serialize"),
            (
                "unreachable / memchr of an absent byte (>= 0.12)",
                "a subtree that no path reaches",
                "memchr, absent byte",
            ),
        ] {
            println!("  => {goal:<52} {:.3}", of(ours) / of(theirs));
        }
    }
}

fn contenders<'a>() -> Vec<Contender<'a>> {
    let five = [
        "$.customers[*].email",
        "$.customers[*].phone",
        "$.customers[*].card.number",
        "$.customers[*].name.last",
        "$..ssn",
    ];
    let mut contenders: Vec<Contender<'a>> = vec![
        (
            "memcpy",
            Box::new({
                let mut copy = Vec::new();
                move |body| {
                    copy.clear();
                    copy.extend_from_slice(body);
                    copy.len()
                }
            }),
        ),
        ("memchr, absent byte", Box::new(|body| memchr::memchr(0, body).unwrap_or_default())),
        (
            "sonic-rs DOM parse",
            Box::new(|body| sonic_rs::from_slice::<sonic_rs::Value>(body).map_or(0, |v| usize::from(v.is_object()))),
        ),
        ("sonic-rs parse, change, serialize", Box::new(change_with_sonic)),
        (
            "serde_json Value",
            Box::new(|body| {
                serde_json::from_slice::<serde_json::Value>(body).map_or(0, |v| usize::from(v.is_object()))
            }),
        ),
        ("scan: 5 paths, records counted", engine(&five, Job::Absent)),
        ("5 values masked", engine(&five, Job::Mask)),
        ("5 values dropped", engine(&five, Job::Drop)),
        ("a subtree that no path reaches", engine(&["$.elsewhere.email"], Job::Mask)),
        ("17 paths at any depth", engine(&ANYWHERE, Job::Absent)),
    ];
    let names = ["scan: the byte engine", "scan: portable words", "scan: AVX2", "scan: AVX-512"];
    for (name, engine) in names.into_iter().zip(Engine::available()) {
        contenders.push((name, with_engine(&five, Job::Absent, engine)));
    }
    contenders
}

const ANYWHERE: [&str; 17] = [
    "$..ssn_",
    "$..passport",
    "$..iban",
    "$..tax_id",
    "$..dob",
    "$..maiden_name",
    "$..salary",
    "$..health",
    "$..religion",
    "$..union",
    "$..pin",
    "$..cvv",
    "$..password",
    "$..secret",
    "$..token",
    "$..licence",
    "$..plate",
];

#[derive(Clone, Copy, PartialEq)]
enum Job {
    /// The paths are looked for and never found: `_` is put behind their last name.
    Absent,
    Mask,
    Drop,
}

fn engine<'a>(paths: &[&str], job: Job) -> Work<'a> {
    with_engine(paths, job, Engine::fastest())
}

fn with_engine<'a>(paths: &[&str], job: Job, engine: Engine) -> Work<'a> {
    let path = |text: &str| {
        let text = if job == Job::Absent { format!("{text}_") } else { text.to_owned() };
        FieldPath::parse(&text).expect("a path")
    };
    let treat =
        paths.iter().enumerate().map(|(rule, text)| Target { path: path(text), rule, only_type: None }).collect();
    let records = FieldPath::parse("$.customers[*]").expect("a path");
    let counts = job == Job::Absent;
    let spec = Spec { treat, records: counts.then_some(&records), ..Spec::default() };
    let treat = Arc::new(Mask { drops: job == Job::Drop });
    let mut json =
        JsonRewriter::with_engine(Arc::new(Matcher::compile(&spec, &*treat).expect("a matcher")), treat, engine);
    let mut out = Vec::with_capacity(4 * CHUNK);
    let mut seen = Seen::default();
    Box::new(move |body| {
        json.reset();
        for chunk in body.chunks(CHUNK) {
            out.clear();
            json.feed(chunk, &mut seen, &mut out).expect("a good body");
        }
        json.finish(&mut seen, &mut out).expect("a whole body");
        seen.records + seen.treated + out.len()
    })
}

/// All but the last four characters.
struct Mask {
    drops: bool,
}

impl Treat for Mask {
    fn drops(&self, _: usize) -> bool {
        self.drops
    }

    fn treat(&self, _: usize, value: Value<'_>, out: &mut Vec<u8>) -> Result<Shape, Stop> {
        let kept = value.text.len().saturating_sub(4);
        out.resize(out.len() + kept, b'*');
        out.extend(value.text[kept..].iter().filter(|byte| byte.is_ascii()));
        Ok(Shape::Text)
    }
}

#[derive(Default)]
struct Seen {
    records: usize,
    treated: usize,
}

impl Watch for Seen {
    fn record(&mut self) -> Result<(), Cut> {
        self.records += 1;
        Ok(())
    }

    fn treated(&mut self, _: usize) {
        self.treated += 1;
    }

    fn subject(&mut self, _: &[u8]) {}
}

fn change_with_sonic(body: &[u8]) -> usize {
    let mut document: sonic_rs::Value = sonic_rs::from_slice(body).expect("a good body");
    let customers = document.get_mut("customers").and_then(|list| list.as_array_mut()).expect("customers");
    let mask = |value: Option<&mut sonic_rs::Value>| {
        if let Some(value) = value
            && let Some(text) = value.as_str()
        {
            let masked = format!("****{}", text.get(text.len().saturating_sub(4)..).unwrap_or_default());
            *value = sonic_rs::Value::from(masked.as_str());
        }
    };
    for customer in customers.iter_mut() {
        mask(customer.get_mut("email"));
        mask(customer.get_mut("phone"));
        mask(customer.get_mut("ssn"));
        mask(customer.get_mut("card").and_then(|card| card.get_mut("number")));
        mask(customer.get_mut("name").and_then(|name| name.get_mut("last")));
    }
    sonic_rs::to_vec(&document).expect("text").len()
}

/// The best of the rounds in GB/s, as other work on the machine can only slow one down; of rounds in which each
/// contender has its turn.
fn measure(contenders: &mut [Contender<'_>], body: &[u8]) -> Vec<(&'static str, f64)> {
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for ((_, work), times) in contenders.iter_mut().zip(&mut times) {
            let repeats = (2_000_000 / body.len()).max(1);
            let start = now();
            for _ in 0..repeats {
                black_box(work(black_box(body)));
            }
            times.push((now() - start) / repeats as f64);
        }
    }
    let best = |times: &[f64]| body.len() as f64 / times.iter().copied().fold(f64::INFINITY, f64::min) / 1e9;
    contenders.iter().zip(&times).map(|((name, _), times)| (*name, best(times))).collect()
}

/// Seconds of processor time that this thread has had: waiting for a turn is nobody's work.
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
