//! The fuzz targets in every test run, for a moment each; `VENDORGATE_FUZZ_SECONDS` runs each of them for so long.
//!
//! Inputs are good ones with bytes changed, left out, doubled and joined, by a generator whose seed a failure prints.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::time::{Duration, Instant};

/// A small generator (xorshift64*), so that a run can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides.max(1)
    }
}

/// Bytes that mean something to some parser.
const SPECIAL: &[u8] = b"{}[]\"\\:,&=;%+<>!-/?'\r\n\t \0\xff\xc3\xa9@.e0u19_~$*#\x1e";

fn mutated(seeds: &[&str], dice: &mut Dice) -> Vec<u8> {
    let mut data = seeds[dice.roll(seeds.len())].as_bytes().to_vec();
    for _ in 0..dice.roll(9) {
        let (from, to) = (dice.roll(data.len() + 1), dice.roll(data.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match dice.roll(6) {
            0 => drop(data.drain(from..to)),
            1 => data.truncate(to),
            2 => data.insert(from, SPECIAL[dice.roll(SPECIAL.len())]),
            3 if from < data.len() => data[from] = SPECIAL[dice.roll(SPECIAL.len())],
            4 if from < data.len() => data[from] = dice.roll(256) as u8,
            _ if data.len() < 4096 => {
                let piece = data[from..to].repeat(1 + dice.roll(3));
                data.splice(to..to, piece);
            }
            _ => {}
        }
    }
    data
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a run is bounded by time")]
fn no_input_makes_a_parser_panic_or_depend_on_how_it_is_cut() {
    let seconds = std::env::var("VENDORGATE_FUZZ_SECONDS").ok().map(|text| text.parse().expect("a number"));
    let limit = seconds.map_or(Duration::from_millis(400), Duration::from_secs);
    let seed = std::env::var("VENDORGATE_FUZZ_SEED").map_or(0x5eed, |text| text.parse().expect("a number"));
    for (name, target, seeds) in targets::ALL {
        let (mut dice, start, mut runs) = (Dice(seed), Instant::now(), 0_u64);
        seeds.iter().for_each(|seed| target(seed.as_bytes()));
        while start.elapsed() < limit {
            let data = mutated(seeds, &mut dice);
            let outcome = std::panic::catch_unwind(|| target(&data));
            assert!(outcome.is_ok(), "{name} fails on {:?}", String::from_utf8_lossy(&data));
            runs += 1;
        }
        eprintln!("{name}: {runs} inputs in {:?}", start.elapsed());
    }
}
