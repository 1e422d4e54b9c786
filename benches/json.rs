//! The JSON engine compared with other ways to do the same work, on the same buffers in the same run.
//!
//! `cargo bench --bench json` prints the best of interleaved rounds in GB/s, and the ratios that the project promises.
//! The ratios are valid on other machines too; the figures themselves only on this one. `-- 256` runs one size only,
//! `-- scan` the contenders of that name.

mod corpus;

use std::{hint::black_box, sync::Arc};

use sonic_rs::{JsonValueMutTrait as _, JsonValueTrait as _};
use vendorgate::pii::internals::{
    JsonEngine, JsonRewriter, Matcher, MatcherSpec, Replacement, SelectedValue, Transform, Transformer, TreatedPath,
    ValueKind,
};
use vendorgate::pii::keys::MasterKey;
use vendorgate::pii::{
    DetectAction, DetectRule, Detector, FieldPath, MasterKeys, Plan, RecordBudgetSpent, RewriteError, RewriteObserver,
    Rewriter, Rule, Rules, TokenClass, Treatment, ValueLocation, VendorId, VendorKeys, VendorSalt,
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
            ("masked / sonic-rs parse, mask, serialize", "5 values masked", "sonic-rs parse, mask, serialize"),
            ("tokenized / the same with sonic-rs (>= 5)", "5 values tokenized", "sonic-rs parse, tokenize, serialize"),
            ("tokenized / sonic-rs parse, mask, serialize", "5 values tokenized", "sonic-rs parse, mask, serialize"),
            (
                "unreachable / memchr of an absent byte (>= 0.12)",
                "a subtree that no path reaches",
                "memchr, absent byte",
            ),
            ("dropped / memchr of an absent byte", "a subtree that is dropped", "memchr, absent byte"),
        ] {
            println!("  => {goal:<52} {:.3}", of(ours) / of(theirs));
        }
    }
}

fn contenders<'a>() -> Vec<Contender<'a>> {
    let five = FIVE;
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
        ("sonic-rs parse, mask, serialize", Box::new(|body| change_with_sonic(body, &Mask { drops: false }))),
        (
            "sonic-rs parse, tokenize, serialize",
            Box::new({
                let treater = tokens();
                move |body| change_with_sonic(body, &treater)
            }),
        ),
        (
            "serde_json Value",
            Box::new(|body| {
                serde_json::from_slice::<serde_json::Value>(body).map_or(0, |v| usize::from(v.is_object()))
            }),
        ),
        ("scan: 5 paths, records counted", engine(&five, Job::Absent)),
        ("5 values masked", engine(&five, Job::Mask)),
        ("5 values tokenized", with_treat(&five, Arc::new(tokens()))),
        ("5 values dropped", engine(&five, Job::Drop)),
        ("a subtree that no path reaches", engine(&["$.elsewhere.email"], Job::Mask)),
        ("a subtree that is dropped", engine(&["$.customers"], Job::Drop)),
        ("every string looked at by detectors", detectors()),
        ("17 paths at any depth", engine(&ANYWHERE, Job::Absent)),
    ];
    let names = ["scan: the exact reader", "scan: portable words", "scan: AVX2", "scan: AVX-512"];
    for (name, engine) in names.into_iter().zip(JsonEngine::available()) {
        contenders.push((name, with_engine(&five, Job::Absent, engine)));
    }
    contenders
}

const FIVE: [&str; 5] = [
    "$.customers[*].email",
    "$.customers[*].phone",
    "$.customers[*].card.number",
    "$.customers[*].name.last",
    "$..ssn",
];

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
    with_engine(paths, job, JsonEngine::fastest())
}

fn with_engine<'a>(paths: &[&str], job: Job, engine: JsonEngine) -> Work<'a> {
    let absent = |text: &&str| if job == Job::Absent { format!("{text}_") } else { (*text).to_owned() };
    let paths: Vec<String> = paths.iter().map(absent).collect();
    run(&paths, job == Job::Absent, Arc::new(Mask { drops: job == Job::Drop }), engine)
}

fn with_treat<'a>(paths: &[&str], treat: Arc<dyn Transform>) -> Work<'a> {
    let paths: Vec<String> = paths.iter().map(|text| (*text).to_owned()).collect();
    run(&paths, false, treat, JsonEngine::fastest())
}

fn run<'a>(paths: &[String], counts: bool, treat: Arc<dyn Transform>, engine: JsonEngine) -> Work<'a> {
    let path = |text: &String| FieldPath::parse(text).expect("a path");
    let target = |(rule, text)| TreatedPath { path: path(text), rule, only_type: None };
    let records = FieldPath::parse("$.customers[*]").expect("a path");
    let treated = paths.iter().enumerate().map(target).collect();
    let spec = MatcherSpec { treat: treated, records: counts.then_some(&records), ..MatcherSpec::default() };
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

fn keys(class: &TokenClass) -> Arc<VendorKeys> {
    let vendor = VendorId::parse("acme").expect("a vendor");
    let ring = MasterKeys::from_key(MasterKey::from_bytes([42; 32]));
    Arc::new(ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), [class.clone()]))
}

/// AES-256-SIV tokens for five fields.
fn tokens() -> Transformer {
    let class = TokenClass::from_name("value");
    let keys = keys(&class);
    let rule = Rule {
        location: ValueLocation::Query("value".into()),
        treatment: Treatment::Tokenize,
        class,
        only_type: None,
        category: None,
    };
    Transformer::compile(&vec![rule; FIVE.len()], keys).expect("a treatment")
}

fn detectors<'a>() -> Work<'a> {
    let detect = Some(DetectRule::new(Detector::default(), DetectAction::Report));
    let plan =
        Plan::compile(&Rules { detect, ..Rules::default() }, keys(&TokenClass::from_name("value"))).expect("rules");
    let (mut out, mut seen) = (Vec::with_capacity(4 * CHUNK), Seen::default());
    Box::new(move |body| {
        let mut json = plan.body_rewriter(Some("application/json"), None).expect("a known type");
        for chunk in body.chunks(CHUNK) {
            out.clear();
            json.feed(chunk, &mut seen, &mut out).expect("a good body");
        }
        seen.treated
    })
}

/// All but the last four characters.
struct Mask {
    drops: bool,
}

impl Transform for Mask {
    fn drops_member(&self, _: usize) -> bool {
        self.drops
    }

    fn transform(&self, _: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Result<Replacement, RewriteError> {
        let kept = value.text.len().saturating_sub(4);
        out.resize(out.len() + kept, b'*');
        out.extend(value.text[kept..].iter().filter(|byte| byte.is_ascii()));
        Ok(Replacement::Text)
    }
}

#[derive(Default)]
struct Seen {
    records: usize,
    treated: usize,
}

impl RewriteObserver for Seen {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        self.records += 1;
        Ok(())
    }

    fn on_treated(&mut self, _: usize) {
        self.treated += 1;
    }

    fn on_subject(&mut self, _: &[u8]) {}
}

fn change_with_sonic(body: &[u8], treat: &dyn Transform) -> usize {
    let mut document: sonic_rs::Value = sonic_rs::from_slice(body).expect("a good body");
    let customers = document.get_mut("customers").and_then(|list| list.as_array_mut()).expect("customers");
    let mut made = Vec::new();
    let mut change = |value: Option<&mut sonic_rs::Value>| {
        if let Some(value) = value
            && let Some(text) = value.as_str()
        {
            made.clear();
            treat
                .transform(0, SelectedValue { kind: ValueKind::String, text: text.as_bytes() }, &mut made)
                .expect("a treated value");
            *value = sonic_rs::Value::from(std::str::from_utf8(&made).expect("text"));
        }
    };
    for customer in customers.iter_mut() {
        change(customer.get_mut("email"));
        change(customer.get_mut("phone"));
        change(customer.get_mut("ssn"));
        change(customer.get_mut("card").and_then(|card| card.get_mut("number")));
        change(customer.get_mut("name").and_then(|name| name.get_mut("last")));
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
            // Whatever ran before has had the caches; the measured rounds find them warm for everyone.
            black_box(work(black_box(body)));
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

/// Seconds of processor time of this thread, without the time that it waited for a processor.
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
