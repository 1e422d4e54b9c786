//! What one value costs: `cargo bench --bench treatments`. Nanoseconds for each treatment and its inverse, on e-mail
//! addresses, phone and card numbers, 1,024 different ones of each so that nothing is remembered.
//!
//! A machine that others use too interrupts most long runs, so the time is taken over short batches and the least
//! disturbed tenth of them counts.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aes_siv::siv::Aes256Siv;
use criterion::{Criterion, criterion_group, criterion_main};
use fpe::ff1::{FF1, FlexibleNumeralString};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use vendorgate::pii::internals::{DeferredBatch, Revealer, SelectedValue, Transform, Transformer, ValueKind};
use vendorgate::pii::keys::MasterKey;
use vendorgate::pii::{
    DigitFormat, MasterKeys, RevealCounts, Rule, TokenClass, Treatment, ValueLocation, VendorId, VendorKeys, VendorSalt,
};

const VALUES: usize = 1024;
const BATCH: u32 = 64;

fn keys() -> Arc<VendorKeys> {
    let ring = MasterKeys::from_key(MasterKey::from_bytes([42; 32]));
    let vendor = VendorId::parse("acme").expect("a vendor");
    Arc::new(ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), [TokenClass::from_name("value")]))
}

fn treater(treatment: Treatment) -> Transformer {
    let rule = Rule {
        location: ValueLocation::Query("value".into()),
        treatment,
        class: TokenClass::from_name("value"),
        only_type: None,
        category: None,
    };
    Transformer::compile(&[rule], keys()).expect("a treatment")
}

fn measure(criterion: &mut Criterion, name: &str, treat: &dyn Transform, values: &[String]) {
    let mut out = Vec::with_capacity(256);
    let mut next = (0..values.len()).cycle();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            quiet(iterations, || {
                out.clear();
                let text = values[next.next().unwrap_or(0)].as_bytes();
                let treated =
                    treat.transform(0, SelectedValue { kind: ValueKind::String, text: black_box(text) }, &mut out);
                assert!(black_box(treated).is_ok());
            })
        });
    });
}

/// Treats values as an engine does within one chunk: values of one kind are collected and treated together.
fn measure_batched(criterion: &mut Criterion, name: &str, treat: &dyn Transform, values: &[String]) {
    let (mut out, mut held) = (Vec::with_capacity(64 * 1024), DeferredBatch::default());
    let mut next = (0..values.len()).cycle();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let chunk = || {
                out.clear();
                for _ in 0..BATCH {
                    let text = values[next.next().unwrap_or(0)].as_bytes();
                    let value = SelectedValue { kind: ValueKind::String, text: black_box(text) };
                    assert!(black_box(treat.defer(0, value, &mut out, &mut held)).is_ok());
                }
                treat.complete_deferred(&mut held, &mut out);
                black_box(&mut out);
            };
            quiet(iterations, chunk) / BATCH
        });
    });
}

/// The time of so many iterations when no other program interrupts them.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn quiet(iterations: u64, mut run: impl FnMut()) -> Duration {
    let batch = |_| {
        let start = Instant::now();
        (0..BATCH).for_each(|_| run());
        start.elapsed()
    };
    let mut batches: Vec<Duration> = (0..iterations.div_ceil(BATCH.into()).max(20)).map(batch).collect();
    batches.sort_unstable();
    batches[batches.len() / 10].mul_f64(iterations as f64 / f64::from(BATCH))
}

fn values(criterion: &mut Criterion) {
    let emails: Vec<_> = (0..VALUES).map(|i| format!("jane.doe{i:06}@example.com")).collect();
    let phones: Vec<_> = (0..VALUES).map(|i| format!("+49151{i:06}")).collect();
    let cards: Vec<_> = (0..VALUES).map(|i| format!("411111111{i:07}")).collect();
    let tokenize = treater(Treatment::Tokenize);
    measure(criterion, "tokenize, e-mail of 26 bytes", &tokenize, &emails);
    measure(criterion, "tokenize, phone of 12 bytes", &tokenize, &phones);
    measure(criterion, "hash, e-mail", &treater(Treatment::Hash), &emails);
    measure_batched(criterion, "hash, e-mail, batched", &treater(Treatment::Hash), &emails);
    measure_batched(criterion, "tokenize, e-mail, in a chunk", &tokenize, &emails);
    measure(criterion, "hash, phone", &treater(Treatment::Hash), &phones);
    measure_batched(criterion, "hash, phone, batched", &treater(Treatment::Hash), &phones);
    let card = DigitFormat::Card { keep_first: 0, keep_last: 0 };
    for (name, format, values) in [
        ("encrypt 16 digits", DigitFormat::Digits, &cards),
        ("encrypt a card", card, &cards),
        ("encrypt a phone", DigitFormat::Phone, &phones),
    ] {
        let treater = treater(Treatment::EncryptFormat(format));
        measure(criterion, name, &treater, values);
        measure_batched(criterion, &format!("{name}, batched"), &treater, values);
    }
    measure(criterion, "mask, last 4", &treater(Treatment::Mask { keep_first: 0, keep_last: 4 }), &cards);
    let sealed = |value: &String| {
        let mut out = Vec::new();
        keys().tokenize(&TokenClass::from_name("value"), value.as_bytes(), &mut out).expect("the class has a key");
        String::from_utf8(out).expect("tokens are text")
    };
    let tokens: Vec<_> = emails.iter().map(sealed).collect();
    measure(criterion, "reveal, e-mail", &Revealer::new(keys(), Arc::new(RevealCounts::default())), &tokens);
}

/// The general crates on the same values, for comparison; the treatments above also encode their output as text.
fn crates(criterion: &mut Criterion) {
    let mut row = |name: &str, run: &mut dyn FnMut()| {
        criterion.bench_function(name, |bencher| bencher.iter_custom(|iterations| quiet(iterations, &mut *run)));
    };
    let email = b"jane.doe000001@example.com";
    let mut siv = Aes256Siv::new(&[7; 64].into());
    row("aes-siv crate, e-mail", &mut || drop(black_box(siv.encrypt([b"a header"], black_box(email)))));
    let hmac = Hmac::<Sha256>::new(&[7; 64].into());
    row("hmac crate, e-mail", &mut || drop(black_box(hmac.clone().chain_update(black_box(email)).finalize())));
    let ff1 = FF1::<aes::Aes256>::new(&[7; 32], 10).expect("a radix");
    let card = FlexibleNumeralString::from(vec![4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    row("fpe crate, 16 digits", &mut || drop(black_box(ff1.encrypt(&[], black_box(&card)))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).without_plots();
    targets = values, crates
}
criterion_main!(benches);
