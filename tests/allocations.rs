//! No body makes the engine allocate per byte: once a stream is under way, chunk after chunk costs no allocation at
//! all.
//!
//! Counts by thread, as tests run side by side. `-- --nocapture` prints what a stream and a thread keep.

#![expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one counts and hands on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use vendorgate::pii::keys::MasterKey;
use vendorgate::pii::{
    DetectAction, DetectRule, Detector, DigitFormat, FieldPath, MasterKeys, Plan, RecordBudgetSpent, RewriteObserver,
    Rewriter, Rule, Rules, TokenClass, Treatment, ValueLocation, VendorId, VendorSalt,
};

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note(made: u64, bytes: i64) {
    // A thread that ends may allocate when its own counters are gone.
    MADE.try_with(|counter| counter.set(counter.get() + made)).ok();
    LIVE_BYTES.try_with(|counter| counter.set(counter.get() + bytes)).ok();
}

/// Every treatment, in fields that are open at the edges of most chunks.
const RECORD: &str = r#"{"email":"ann\u00e9@example.com","name":"Zoë Łódź","phone":"+4930123456","card":"4111111111111111","ssn":"123-45-6789","gone":[1,{"a":null}],"rest":{"text":"of no \"interest\"","list":[true,-1.5e3,[]]}}"#;
const ROW: &str = "ann@example.com,Zoë,+4930123456,4111111111111111,123-45-6789,x,\"of no \"\"interest\"\"\"\r\n";
const PAIRS: &str =
    "&email=ann%40example.com&name=Zo%C3%AB&phone=%2B4930123456&card=4111111111111111&ssn=123-45-6789&gone=x&rest=y";
const ELEMENT: &str = "<r email='ann@example.com'><name>Zoë &amp; Łódź</name><phone>+4930123456</phone><ssn>123-45-6789</ssn><gone><a/></gone><!-- c --><rest>text</rest></r>";

/// Media type, beginning, and what comes again and again.
fn bodies() -> Vec<(&'static str, &'static str, String)> {
    let record = |before: &str, after: &str| format!("{before}{RECORD}{after}");
    vec![
        ("application/json", "[0", record(",", "")),
        ("application/x-ndjson", "", record("", "\n")),
        ("application/json-seq", "", record("\u{1e}", "\n")),
        ("text/event-stream", "", record("data: ", "\n\n")),
        ("application/x-www-form-urlencoded", "a=b", PAIRS.to_owned()),
        ("text/csv", "email,name,phone,card,ssn,gone,rest\r\n", ROW.to_owned()),
        (
            "text/tab-separated-values",
            "email\tname\tphone\tcard\tssn\tgone\r\n",
            "ann@example.com\tZoë\t\t\t\t\r\n".to_owned(),
        ),
        ("application/xml", "<list>", ELEMENT.to_owned()),
    ]
}

fn treating() -> Plan {
    let rule = |path: &str, treatment| Rule {
        location: ValueLocation::Field(FieldPath::parse(path).expect("a path")),
        treatment,
        class: TokenClass::from_name("value"),
        only_type: None,
        category: None,
    };
    let treat = vec![
        rule("$..email", Treatment::Tokenize),
        rule("$..name", Treatment::Hash),
        rule("$..phone", Treatment::EncryptFormat(DigitFormat::Phone)),
        rule("$..card", Treatment::Mask { keep_first: 0, keep_last: 4 }),
        rule("$..ssn", Treatment::Redact),
        rule("$..gone", Treatment::Drop),
    ];
    plan(Rules { treat, ..Rules::default() })
}

fn detecting() -> Plan {
    plan(Rules { detect: Some(DetectRule::new(Detector::default(), DetectAction::Mask)), ..Rules::default() })
}

fn plan(rules: Rules) -> Plan {
    let vendor = VendorId::parse("acme").expect("an id");
    let ring = MasterKeys::from_key(MasterKey::from_bytes([42; 32]));
    let keys = ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), [TokenClass::from_name("value")]);
    Plan::compile(&rules, Arc::new(keys)).expect("rules")
}

#[derive(Default)]
struct Seen(usize);

impl RewriteObserver for Seen {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, _: usize) {
        self.0 += 1;
    }

    fn on_subject(&mut self, _: &[u8]) {}
}

/// What a stream cost: allocations in its second half, and the bytes it keeps.
fn stream(plan: &Plan, media: &str, start: &str, unit: &str, chunk: usize) -> (u64, i64) {
    let text = [start, &unit.repeat(600)].concat();
    let mut out = Vec::with_capacity(16 * chunk + 4096);
    let mut seen = Seen::default();
    let before = LIVE_BYTES.get();
    let mut engine = plan.body_rewriter(Some(media), None).expect("a known type");
    let mut feed = |engine: &mut Box<dyn Rewriter>, text: &[u8]| {
        for piece in text.chunks(chunk) {
            out.clear();
            engine.feed(piece, &mut seen, &mut out).expect("a good body");
        }
    };
    let (warm, steady) = text.as_bytes().split_at(text.len() / 2);
    feed(&mut engine, warm);
    let (made, kept) = (MADE.get(), LIVE_BYTES.get() - before);
    feed(&mut engine, steady);
    let made = MADE.get() - made;
    assert!(seen.0 > 0, "{media}: nothing was treated");
    (made, kept)
}

#[test]
fn a_stream_under_way_allocates_nothing() {
    for (name, plan) in [("treated", treating()), ("detected", detecting())] {
        for (media, start, unit) in bodies() {
            for chunk in [61, 1400, 16 * 1024] {
                let (made, _) = stream(&plan, media, start, &unit, chunk);
                assert_eq!(made, 0, "{media}, {name}, by {chunk}");
            }
        }
    }
    let (made, _) = stream(&detecting(), "text/plain", "", "write to ann@example.com, please\n", 1400);
    assert_eq!(made, 0, "text");
}

#[test]
fn a_stream_and_a_thread_keep_little() {
    let plan = treating();
    let before = LIVE_BYTES.get();
    let (_, first) = stream(&plan, "application/json", "[0", &format!(",{RECORD}"), 1400);
    let thread = LIVE_BYTES.get() - before;
    println!("a thread keeps {thread} bytes");
    assert!(0 < thread && thread <= 64 * 1024, "a thread keeps {thread} bytes");
    assert!(first >= thread, "the first stream of a thread pays for it");
    for (media, start, unit) in bodies() {
        let (_, kept) = stream(&plan, media, start, &unit, 1400);
        println!("a stream of {media} keeps {kept} bytes");
        assert!(kept <= 8 * 1024, "{media} keeps {kept} bytes");
    }
}
