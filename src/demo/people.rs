//! The people in the sample CRM: made up, all different, and the same in every run.
//!
//! A customer is a pure function of a number, so the list takes no memory. None of them exists: mail addresses end in
//! `.example`, social security numbers are from a range that is never issued, and card numbers from ranges for tests.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

/// How many customers the CRM has.
pub(super) const CUSTOMERS: u64 = 50_000;

/// Names, cities and streets, by country. The list is part of the program: the tests below read it.
static COUNTRIES: LazyLock<Vec<Country>> =
    LazyLock::new(|| serde_json::from_str(include_str!("files/countries.json")).unwrap_or_default());

/// The names, cities and streets of one country.
#[derive(Debug, Default, Deserialize)]
struct Country {
    country: String,
    dial: u16,
    family_first: bool,
    /// Given names, with their spelling in a mail address.
    given: Vec<(String, String)>,
    /// Family names, with their spelling in a mail address.
    family: Vec<(String, String)>,
    /// Cities, with the first digits of their postal codes.
    cities: Vec<(String, String)>,
    streets: Vec<String>,
}

/// The customer of a number from 1 to [`CUSTOMERS`], as the CRM answers it.
pub(super) fn customer(number: u64) -> Value {
    let mut dice = SeededRandom(number);
    let place = dice.pick(&COUNTRIES);
    let (given, given_ascii) = dice.pick(&place.given);
    let (family, family_ascii) = dice.pick(&place.family);
    let (city, zip) = dice.pick(&place.cities);
    let domain = dice.pick(&["mail.example", "post.example", "inbox.example", "web.example"]);
    json!({
        "id": format!("cus_{number:06}"),
        "name": if place.family_first { format!("{family} {given}") } else { format!("{given} {family}") },
        "email": format!("{given_ascii}.{family_ascii}{number}@{domain}"),
        "phone": phone(place, &mut dice),
        "birthday": format!("{}-{:02}-{:02}", dice.among(1938, 2006), dice.among(1, 12), dice.among(1, 28)),
        "ssn": format!("{}-{:02}-{:04}", dice.among(900, 999), dice.among(10, 99), dice.among(1000, 9999)),
        "country": place.country,
        "address": {
            "street": format!("{} {}", dice.pick(&place.streets), dice.among(1, 180)),
            "city": city,
            "zip": format!("{zip}{:03}", dice.among(0, 999)),
        },
        "cards": (0..dice.among(1, 2)).map(|_| card(&mut dice)).collect::<Vec<_>>(),
        "segment": dice.pick(&["new", "regular", "loyal", "lapsed"]),
        "orders": dice.among(0, 60),
        "note": format!("{} {}", dice.pick(&["Called about", "Wrote about", "Asked for"]), dice.pick(TOPICS)),
    })
}

const TOPICS: &[&str] = &[
    "a late parcel; neighbour has the spare key",
    "an invoice in her maiden name",
    "delivery after six, works nights",
    "a refund after the divorce",
    "ramp access at the side door",
];

/// The number of an id, if there is such a customer.
pub(super) fn number(id: &str) -> Option<u64> {
    let number = id.strip_prefix("cus_")?.parse().ok()?;
    (1..=CUSTOMERS).contains(&number).then_some(number)
}

fn phone(place: &Country, dice: &mut SeededRandom) -> String {
    let (area, first, last) = (dice.among(150, 799), dice.among(100, 999), dice.among(1000, 9999));
    format!("+{} {area} {first} {last}", place.dial)
}

fn card(dice: &mut SeededRandom) -> Value {
    let (brand, range) = dice.pick(&[("visa", "400000"), ("mastercard", "555555"), ("visa", "411111")]);
    let digits = format!("{range}{:09}", dice.among(0, 999_999_999));
    let number = format!("{digits}{}", luhn_digit(&digits));
    json!({ "brand": brand, "number": number, "expires": format!("20{}-{:02}", dice.among(27, 31), dice.among(1, 12)) })
}

/// The last digit that makes a number pass Luhn's check.
fn luhn_digit(digits: &str) -> u32 {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let values = digits.chars().rev().filter_map(|symbol| symbol.to_digit(10)).enumerate();
    let sum: u32 = values.map(|(place, digit)| if place % 2 == 0 { doubled(digit) } else { digit }).sum();
    (10 - sum % 10) % 10
}

/// Random-looking numbers that are the same in every run (SplitMix64).
struct SeededRandom(u64);

impl SeededRandom {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number from the first to the last.
    fn among(&mut self, first: u64, last: u64) -> u64 {
        first + self.roll() % (last - first + 1)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[(self.roll() % from.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_always_the_same_and_all_different() {
        assert_eq!(customer(17), customer(17));
        let emails: std::collections::HashSet<_> =
            (1..=2_000).map(|number| customer(number)["email"].to_string()).collect();
        assert_eq!(emails.len(), 2_000);
        let names = (1..=200).map(|number| customer(number)["name"].to_string());
        assert!(names.filter(|name| !name.is_ascii()).count() > 50, "names of the whole world");
    }

    #[test]
    fn cards_pass_luhn_and_ids_are_parsed_back() {
        // The number that ISO/IEC 7812-1 annex B and most texts show.
        assert_eq!(luhn_digit("7992739871"), 3);
        for number in 1..500 {
            let customer = customer(number);
            for card in customer["cards"].as_array().expect("cards") {
                let (digits, check) = card["number"].as_str().expect("a number").split_at(15);
                assert_eq!(luhn_digit(digits).to_string(), check, "{card}");
            }
            assert_eq!(super::number(customer["id"].as_str().expect("an id")), Some(number));
        }
        assert_eq!((super::number("cus_000000"), super::number("cus_999999"), super::number("7")), (None, None, None));
    }
}
