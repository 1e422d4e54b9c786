//! What each format costs: `cargo bench --bench formats`. Bytes a second over bodies of 256 KiB in chunks of 16 KiB,
//! one value of each record hashed; and the detectors over text with and without finds, beside `memchr` of an absent
//! byte.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vendorgate::pii::internals::{ContentCoding, DecodingRewriter, TextRewriter};
use vendorgate::pii::keys::MasterKey;
use vendorgate::pii::{
    DetectAction, DetectRule, Detector, FieldPath, MasterKeys, Plan, RecordBudgetSpent, RewriteObserver, Rewriter,
    Rule, Rules, TokenClass, Treatment, ValueLocation, VendorId, VendorSalt,
};

const BODY_BYTES: usize = 256 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;

struct Unwatched;

impl RewriteObserver for Unwatched {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, _rule: usize) {}

    fn on_subject(&mut self, _value: &[u8]) {}
}

fn plan() -> Plan {
    let class = TokenClass::from_name("email");
    let path = FieldPath::parse("$..email").expect("a path");
    let rule = Rule {
        location: ValueLocation::Field(path),
        treatment: Treatment::Hash,
        class: class.clone(),
        only_type: None,
        category: None,
    };
    let ring = MasterKeys::from_key(MasterKey::from_bytes([42; 32]));
    let vendor = VendorId::parse("acme").expect("a vendor");
    let keys = ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), [class]);
    Plan::compile(&Rules { treat: vec![rule], ..Rules::default() }, Arc::new(keys)).expect("a plan")
}

/// Records of about 300 bytes, one after the other between a head and a tail.
fn body(head: &str, record: &str, tail: &str) -> String {
    let mut body = head.to_owned();
    let mut count = 0;
    while body.len() < BODY_BYTES {
        count += 1;
        body.push_str(&record.replace("N", &count.to_string()));
    }
    body + tail
}

fn push(mut engine: impl Rewriter, body: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let fed = body.chunks(CHUNK_BYTES).all(|chunk| engine.feed(chunk, &mut Unwatched, out).is_ok());
    fed && engine.finish(&mut Unwatched, out).is_ok()
}

fn formats(criterion: &mut Criterion) {
    let words = "the quick brown fox jumps over the lazy dog and then some more words follow it home ".repeat(2);
    let record = |text: &str| text.replace("WORDS", &words);
    let part = "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\njaneN@example.com\r\n--b\r\nContent-Disposition: \
                form-data; name=\"note\"\r\n\r\nWORDS\r\n";
    let bodies = [
        (
            "application/x-www-form-urlencoded",
            body("a=1", &record("&email=janeN%40example.com&note=WORDS").replace(' ', "+"), ""),
        ),
        (
            "application/x-ndjson",
            body("", &record("{\"id\":N,\"email\":\"janeN@example.com\",\"note\":\"WORDS\"}\n"), ""),
        ),
        (
            "text/event-stream",
            body("", &record("data: {\"id\":N,\"email\":\"janeN@example.com\",\"note\":\"WORDS\"}\n\n"), ""),
        ),
        ("text/csv", body("id,email,note\n", &record("N,janeN@example.com,WORDS\n"), "")),
        ("multipart/form-data; boundary=b", body("", &record(part), "--b--")),
        (
            "application/xml",
            body("<r>", &record("<c id=\"N\"><email>janeN@example.com</email><note>WORDS</note></c>\n"), "</r>"),
        ),
    ];
    let plan = plan();
    let mut out = Vec::with_capacity(2 * BODY_BYTES);
    let mut group = criterion.benchmark_group("formats");
    for (content_type, body) in &bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(*content_type, |bencher| {
            bencher.iter(|| {
                let engine = plan.body_rewriter(Some(content_type), None).expect("an engine");
                assert!(push(engine, black_box(body.as_bytes()), &mut out));
            });
        });
    }
    group.finish();
}

/// Text without anything that a detector finds.
const ORDER: &str = r#"{"order_id":544895824128,"uuid":"5bc8fbbc-bde5-c099-4164-d8399f767c45","sku":"A6388057","title":"the old market Nn","quantity":N,
  "price":53.73,"gift":false,"shipped":"2026-04-10","updated_ms":1705891807615,"lat":77.030414,"created":"2019-04-01T10:00:00Z","tags":["a\n","vip"]},
"#;

fn detectors(criterion: &mut Criterion) {
    let clean = body("", "The quick brown fox jumps over the lazy dog; in 2024 it did so 17 times, they say.\n", "");
    let finds =
        body("", "Write to janeN@example.com, or call +49 30 123456, before the quick brown fox jumps again.\n", "");
    let orders = body("[", ORDER, "{}]");
    let guard = Arc::new(DetectRule::new(Detector::default(), DetectAction::Mask));
    let mut out = Vec::with_capacity(2 * BODY_BYTES);
    let mut group = criterion.benchmark_group("detectors");
    group.throughput(Throughput::Bytes(clean.len() as u64));
    group.bench_function("memchr of an absent byte", |bencher| {
        bencher.iter(|| memchr::memchr(1, black_box(clean.as_bytes())));
    });
    for (name, text) in [("clean text", &clean), ("two finds a line", &finds), ("ids, dates and amounts", &orders)] {
        group.bench_function(format!("scan, {name}"), |bencher| {
            bencher.iter(|| Detector::default().scan(black_box(text.as_bytes()), |span| _ = black_box(span)));
        });
        group.bench_function(format!("stream, {name}"), |bencher| {
            bencher
                .iter(|| assert!(push(TextRewriter::new(Arc::clone(&guard), 0), black_box(text.as_bytes()), &mut out)));
        });
    }
    group.finish();
}

/// Decoding: the cost of a vendor that compresses although it was not asked to.
fn codings(criterion: &mut Criterion) {
    use std::io::Write;
    let text = body("", "{\"id\":N,\"email\":\"janeN@example.com\",\"country\":\"DE\"}\n", "");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let coded = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("in memory");
    let guard = Arc::new(DetectRule::new(Detector::new([]), DetectAction::Mask));
    let mut out = Vec::with_capacity(2 * BODY_BYTES);
    let mut group = criterion.benchmark_group("codings");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("gzip", |bencher| {
        bencher.iter(|| {
            let engine = DecodingRewriter::new(ContentCoding::Gzip, TextRewriter::new(Arc::clone(&guard), 0));
            assert!(push(engine, black_box(&coded), &mut out));
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(15).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    targets = formats, detectors, codings
}
criterion_main!(benches);
