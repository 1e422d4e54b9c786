//! Customers as a CRM would list them: about 1.2 KB and 53 keys each, nested, one string in four with an escape.
//!
//! All made up from a counter, so that every run reads the same bytes.

use std::fmt::Write as _;

/// A document of at least this many bytes.
pub(crate) fn customers(bytes: usize) -> Vec<u8> {
    let mut text = String::from("{\"page\":1,\"customers\":[");
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut id = 0;
    while text.len() < bytes {
        if id > 0 {
            text.push(',');
        }
        customer(&mut text, id, &mut dice);
        id += 1;
    }
    text.push_str("],\"next\":null}");
    text.into_bytes()
}

/// How many customers there are in a document.
pub(crate) fn records(document: &[u8]) -> usize {
    memchr::memmem::find_iter(document, b"\"loyalty\"").count()
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// One or two words; every fourth text has an escape.
    fn words(&mut self) -> String {
        const WORDS: [&str; 12] =
            ["river", "Anna", "stone", "blue", "Müller", "north", "garden", "old", "Łódź", "market", "seven", "light"];
        let mut text = String::new();
        for _ in 0..=self.roll(3) {
            text.push_str(WORDS[self.roll(12) as usize]);
            text.push(' ');
        }
        if self.roll(4) == 0 {
            text.push_str(["\\n", "\\u00e9", "\\\"x\\\"", "\\/"][self.roll(4) as usize]);
        }
        text
    }
}

fn customer(text: &mut String, id: u64, dice: &mut Dice) {
    let (first, last) = (dice.words(), dice.words());
    let _ = write!(
        text,
        "{{\"id\":{id},\"uuid\":\"{:016x}-{:08x}\",\"status\":\"active\",\"email\":\"user{id}@mail{}.example\",\"phone\":\"+49{:011}\",\
         \"ssn\":\"{:03}-{:02}-{:04}\",\"name\":{{\"first\":\"{first}\",\"last\":\"{last}\",\"title\":null,\"suffix\":\"\"}},\
         \"card\":{{\"brand\":\"visa\",\"number\":\"4{:015}\",\"expires\":\"2027-{:02}\",\"debit\":{}}},\
         \"address\":{{\"street\":\"{}{}\",\"city\":\"{}\",\"postcode\":\"{:05}\",\"country\":\"DE\",\"geo\":{{\"lat\":{}.{:06},\"lon\":-{}.{:05}}}}},\
         \"loyalty\":{{\"tier\":\"gold\",\"points\":{},\"since\":\"2019-04-{:02}\"}},\"consent\":[true,false,true],\
         \"balance\":{}.{:02},\"notes\":\"{}{}\",\"orders\":[",
        dice.roll(u64::MAX),
        dice.roll(1 << 32),
        dice.roll(90),
        dice.roll(100_000_000_000),
        dice.roll(1000),
        dice.roll(100),
        dice.roll(10_000),
        dice.roll(1_000_000_000_000_000),
        1 + dice.roll(12),
        dice.roll(2) == 0,
        dice.words(),
        dice.roll(200),
        dice.words(),
        dice.roll(100_000),
        dice.roll(90),
        dice.roll(1_000_000),
        dice.roll(90),
        dice.roll(100_000),
        dice.roll(100_000),
        1 + dice.roll(28),
        dice.roll(10_000),
        dice.roll(100),
        dice.words(),
        dice.words(),
    );
    for order in 0..3 {
        let _ = write!(
            text,
            "{}{{\"order_id\":{},\"sku\":\"A{:07}\",\"title\":\"{}\",\"quantity\":{},\"price\":{}.{:02},\"gift\":{},\"shipped\":\"2026-0{}-1{}\"}}",
            if order > 0 { "," } else { "" },
            dice.roll(1 << 40),
            dice.roll(10_000_000),
            dice.words(),
            1 + dice.roll(9),
            dice.roll(500),
            dice.roll(100),
            dice.roll(2) == 0,
            1 + dice.roll(9),
            dice.roll(10),
        );
    }
    text.push_str("],\"tags\":[\"a\",\"vip\"],\"created\":\"2019-04-01T10:00:00Z\",\"version\":7}");
}
