//! How fast thefts are found, and how often nothing at all alarms: the gateway's anomaly score beside two plain rules.
//!
//! `cargo bench --bench anomaly`. Sixty vendors of different size and rhythm are simulated for eight weeks, from fixed
//! seeds, so the table is the same on every machine. All have noise that drifts, growth of up to a fifth a month, two
//! holidays with a fifth of the traffic, and ten minutes of twice the traffic after a deployment; one in six grows by
//! half for good. Then each is robbed in three ways, and the minutes until the alarm are counted:
//! - burst: ten times its busiest minute, for ten minutes;
//! - night pull: as much as in its busiest hours, at three at night, for three hours;
//! - slow scrape: four tenths of its busiest rate on top of the usual, for three days.
//!
//! The plain rules look at each minute: three standard deviations above the mean of a week, and three above an
//! exponentially weighted mean of four hours. An alarm that goes on, or comes again within an hour, counts once.

use std::collections::{BTreeMap, VecDeque};

use vendorgate::internals::anomaly::{AnomalySignal, VendorAnomalies, VendorTick};
use vendorgate::internals::model::UnixTime;

const DAY: u64 = 86_400;
const WEEK: u64 = 7 * DAY;
/// The robbery begins on the second day of the ninth week.
const ROBBERY: u64 = 8 * WEEK + DAY;

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let vendors = if is_bench { 60 } else { 3 };
    println!(
        "{:10} {:>26} {:>22} {:>22} {:>22}",
        "", "false alarms per vendor", "burst: found,", "night pull: found,", "slow scrape: found,"
    );
    println!(
        "{:10} {:>26} {:>22} {:>22} {:>22}",
        "rule", "and month", "minutes, half of them", "minutes, half of them", "minutes, half of them"
    );
    for rule in ["score", "3-sigma", "EWMA"] {
        let mut alarms = 0;
        let mut found = BTreeMap::<Theft, Vec<Option<u64>>>::new();
        for seed in 0..vendors {
            for theft in [Theft::None, Theft::Burst, Theft::NightPull, Theft::SlowScrape] {
                let run = Trace::new(seed, theft).run(detector(rule));
                match theft {
                    Theft::None => alarms += run.alarms,
                    Theft::Burst | Theft::NightPull | Theft::SlowScrape => {
                        found.entry(theft).or_default().push(run.found)
                    }
                }
            }
        }
        let months = vendors as f64 * 7.0 * 7.0 / 30.0;
        print!("{rule:10} {:>26.2}", f64::from(alarms) / months);
        for delays in found.values() {
            let mut seconds: Vec<_> = delays.iter().flatten().copied().collect();
            seconds.sort_unstable();
            let half = seconds.get(seconds.len() / 2).map_or(f64::NAN, |seconds| *seconds as f64 / 60.0);
            print!(" {:>22}", format!("{} of {}, {half:.1}", seconds.len(), delays.len()));
        }
        println!();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Theft {
    None,
    Burst,
    NightPull,
    SlowScrape,
}

/// Is fed the count of each ten seconds, and says whether it alarms.
type Detector = Box<dyn FnMut(u64, u64) -> bool>;

fn detector(rule: &str) -> Detector {
    match rule {
        "score" => score(),
        "3-sigma" => by_minute(Box::<ThreeSigma>::default()),
        _ => by_minute(Box::<Ewma>::default()),
    }
}

fn score() -> Detector {
    let (mut vendor, mut above) = (VendorAnomalies::default(), 0);
    Box::new(move |second, count| {
        let now = UnixTime::from_secs(second);
        vendor.tick(now, &VendorTick { counts: [0, count, 0, 0, 0], ..VendorTick::default() });
        let is_above = |found: &vendorgate::internals::anomaly::AnomalyScore| {
            found.signal == AnomalySignal::Records && found.score >= 8.0
        };
        above = if vendor.scores(now).iter().any(is_above) { above + 1 } else { 0 };
        above >= 3
    })
}

trait MinuteRule {
    fn is_above(&mut self, count: f64) -> bool;
}

fn by_minute(mut rule: Box<dyn MinuteRule>) -> Detector {
    let (mut sum, mut alarms) = (0, false);
    Box::new(move |second, count| {
        sum += count;
        if second % 60 == 50 {
            alarms = rule.is_above(std::mem::take(&mut sum) as f64);
        }
        alarms
    })
}

#[derive(Default)]
struct ThreeSigma {
    week: VecDeque<f64>,
    sum: f64,
    squares: f64,
}

impl MinuteRule for ThreeSigma {
    fn is_above(&mut self, count: f64) -> bool {
        let minutes = self.week.len() as f64;
        let mean = self.sum / minutes.max(1.0);
        let deviation = (self.squares / minutes.max(1.0) - mean * mean).max(1.0).sqrt();
        let is_full = self.week.len() as u64 == WEEK / 60;
        self.week.push_back(count);
        (self.sum, self.squares) = (self.sum + count, self.squares + count * count);
        if is_full && let Some(oldest) = self.week.pop_front() {
            (self.sum, self.squares) = (self.sum - oldest, self.squares - oldest * oldest);
        }
        is_full && count > mean + 3.0 * deviation
    }
}

#[derive(Default)]
struct Ewma {
    minutes: f64,
    mean: f64,
    variance: f64,
}

impl MinuteRule for Ewma {
    fn is_above(&mut self, count: f64) -> bool {
        self.minutes += 1.0;
        let is_above = self.minutes > (WEEK / 60) as f64 && count > self.mean + 3.0 * self.variance.max(1.0).sqrt();
        let weight = (2.0_f64 / 241.0).max(1.0 / self.minutes);
        let off = count - self.mean;
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
        is_above
    }
}

/// What one vendor takes.
struct Trace {
    random: Random,
    seed: u64,
    theft: Theft,
    /// Requests of its busiest minute, and the records of each.
    busiest: f64,
    records: f64,
    drift: f64,
}

struct Run {
    alarms: u32,
    found: Option<u64>,
}

impl Trace {
    fn new(seed: u64, theft: Theft) -> Self {
        let busiest = [2.0, 20.0, 200.0][seed as usize % 3];
        let records = [1.0, 10.0][seed as usize / 2 % 2];
        Self { random: Random(seed * 7_919 + 12_345), seed, theft, busiest, records, drift: 0.0 }
    }

    fn run(mut self, mut detector: Detector) -> Run {
        let begin = self.begin();
        let end = if self.theft == Theft::None { begin } else { begin + 3 * DAY };
        let (mut run, mut told_until) = (Run { alarms: 0, found: None }, 0);
        for second in (0..end).step_by(10) {
            let count = self.records_at(second);
            if !detector(second, count) {
                continue;
            }
            if self.theft != Theft::None && second >= begin {
                run.found = Some(second - begin + 10);
                return run;
            }
            run.alarms += u32::from(second >= WEEK && second >= told_until);
            told_until = second + 3_600;
        }
        run
    }

    fn begin(&self) -> u64 {
        ROBBERY + if self.theft == Theft::NightPull { 3 * 3_600 + 1_200 } else { 14 * 3_600 + 1_200 }
    }

    fn records_at(&mut self, second: u64) -> u64 {
        if second.is_multiple_of(600) {
            self.drift = 0.9 * self.drift + 0.035 * self.random.normal();
        }
        let usual = self.busiest * self.rhythm(second) * self.events(second) * self.drift.exp();
        let begin = self.begin();
        let (share, span) = match self.theft {
            Theft::None => (0.0, 0),
            Theft::Burst => (10.0, 600),
            Theft::NightPull => (1.0, 3 * 3_600),
            Theft::SlowScrape => (0.4, 3 * DAY),
        };
        let stolen = if (begin..begin + span).contains(&second) { share * self.busiest } else { 0.0 };
        (self.random.poisson((usual + stolen) / 6.0) * self.records) as u64
    }

    /// The share of the busiest rate: office hours, or day and night; some run a batch each night.
    fn rhythm(&self, second: u64) -> f64 {
        let (day, hour) = (second / DAY % 7, (second % DAY) as f64 / 3_600.0);
        let batch = if self.seed.is_multiple_of(5) && (2.0..2.25).contains(&hour) { 6.0 } else { 0.0 };
        batch
            + match self.seed % 2 {
                0 => (if day < 5 { 1.0 } else { 0.15 }) * (0.05 + (-(hour - 13.0).powi(2) / 18.0).exp()),
                _ => 0.6 + 0.4 * ((hour - 15.0) / 24.0 * std::f64::consts::TAU).cos(),
            }
    }

    /// Growth, holidays, a deployment, and for some a step that stays.
    fn events(&self, second: u64) -> f64 {
        let growth = (1.0 + (self.seed % 4) as f64 / 16.0).powf(second as f64 / (4 * WEEK) as f64);
        let day = self.seed % 5 * DAY;
        let holidays = if (4 * WEEK + day..4 * WEEK + day + 2 * DAY).contains(&second) { 0.2 } else { 1.0 };
        let deployed = 5 * WEEK + day + 10 * 3_600;
        let deployment = if (deployed..deployed + 600).contains(&second) { 2.0 } else { 1.0 };
        let step = if self.seed % 6 == 1 && second >= 6 * WEEK + DAY + 11 * 3_600 { 1.5 } else { 1.0 };
        growth * holidays * deployment * step
    }
}

/// Xorshift: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }
}
