//! Numbers as people read them, in every report and on every terminal.

/// A number with a comma before each group of three digits: 1234567 as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whether a member of an answer has its default value, and is left out of the JSON.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Bytes in hexadecimal, two lower-case digits each.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A number of bytes in decimal units, with one decimal from a kilobyte on: 3200000 as `3.2 MB`.
pub fn decimal_bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (number as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Microseconds as milliseconds with three decimals: 412 as `0.412 ms`.
pub fn milliseconds(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        let numbers = [0, 999, 1000, 50_000, 1_234_567, u64::MAX];
        let texts = ["0", "999", "1,000", "50,000", "1,234,567", "18,446,744,073,709,551,615"];
        assert_eq!(numbers.map(thousands), texts);
    }

    #[test]
    fn bytes_have_one_decimal_from_a_kilobyte_on() {
        let numbers = [0, 999, 1000, 3_200_000, 5_000_000_000, 7_300_000_000_000_000];
        assert_eq!(numbers.map(decimal_bytes), ["0 B", "999 B", "1.0 kB", "3.2 MB", "5.0 GB", "7300.0 TB"]);
    }

    #[test]
    fn microseconds_become_milliseconds_with_three_decimals() {
        assert_eq!([0, 412, 12_345].map(milliseconds), ["0.000 ms", "0.412 ms", "12.345 ms"]);
    }
}
